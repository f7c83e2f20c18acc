"""Everything the engine knows about kinds of jobs, as data: how each is read, found, named and prepared."""

from pkg.workloads.evaluator import RULE_FAULT, JobState, Reading, read, with_rules
from pkg.workloads.model import Completion, KindRow, RuleError, Rules, convert_rules
from pkg.workloads.names import NameRule, limit
from pkg.workloads.placement import (
    KUEUE_QUEUE_LABEL,
    default_restart_policy,
    place_plugins,
    place_queue,
    place_scheduler,
    strip_ttl,
)
from pkg.workloads.pods import has_role, lead_rank, pod_selector, reaches_pods, role_of, watch_selector
from pkg.workloads.predicates import needs_whole
from pkg.workloads.registry import registry, rules_for
from pkg.workloads.templates import inject, pod_templates

__all__ = [
    "KUEUE_QUEUE_LABEL",
    "RULE_FAULT",
    "Completion",
    "JobState",
    "KindRow",
    "NameRule",
    "Reading",
    "RuleError",
    "Rules",
    "convert_rules",
    "default_restart_policy",
    "has_role",
    "inject",
    "lead_rank",
    "limit",
    "needs_whole",
    "place_plugins",
    "place_queue",
    "place_scheduler",
    "pod_selector",
    "pod_templates",
    "reaches_pods",
    "read",
    "registry",
    "role_of",
    "rules_for",
    "strip_ttl",
    "watch_selector",
    "with_rules",
]
