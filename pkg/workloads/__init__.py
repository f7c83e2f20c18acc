"""What the controller knows about kinds of jobs: the table `rules.yaml`, and pure functions that read it.

They say which state a job is in, where labels, variables, queues and schedulers go in its object, how long its name may
be, and how its pods are labelled. Nothing here knows a Workflow, an API client, a clock or a thread; it may import only
`pkg.apis`.
"""

from pkg.workloads.evaluator import (
    MAX_MESSAGE,
    PLAINLY_PENDING,
    RULE_FAULT,
    UNKNOWN_STATUS,
    JobState,
    Reading,
    bounded,
    is_suspend_set,
    read,
    with_rules,
)
from pkg.workloads.injection import inject, needs_schema, pod_templates
from pkg.workloads.model import KindRow, OwnRetry, RuleError, Rules, convert_rules
from pkg.workloads.name_limits import NameRule, limit
from pkg.workloads.near_kinds import near_kind
from pkg.workloads.own_retry import own_retries
from pkg.workloads.placement import (
    KUEUE_QUEUE_LABEL,
    default_restart_policy,
    place_plugins,
    place_queue,
    place_scheduler,
    strip_ttl,
)
from pkg.workloads.pod_labels import (
    has_role,
    lead_rank,
    names_its_pods,
    pod_selector,
    reaches_pods,
    role_of,
    watch_selector,
)
from pkg.workloads.predicates import needs_whole
from pkg.workloads.registry import registry, rules_for

__all__ = [
    "KUEUE_QUEUE_LABEL",
    "MAX_MESSAGE",
    "PLAINLY_PENDING",
    "RULE_FAULT",
    "UNKNOWN_STATUS",
    "JobState",
    "KindRow",
    "NameRule",
    "OwnRetry",
    "Reading",
    "RuleError",
    "Rules",
    "bounded",
    "convert_rules",
    "default_restart_policy",
    "has_role",
    "inject",
    "is_suspend_set",
    "lead_rank",
    "limit",
    "names_its_pods",
    "near_kind",
    "needs_schema",
    "needs_whole",
    "own_retries",
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
