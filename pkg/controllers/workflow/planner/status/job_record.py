"""What is recorded of a flow because of a job that is seen: its kind, and the rules that it carries."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.meta import GVR
from pkg.controllers.workflow.planner.carried import carried_hash, carried_text, with_hash
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.draft import Draft
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot


def record_rules(ctx: Context, node: Node, jobs: Iterable[ObservedJob]) -> None:
    """Records the rules that jobs carry, if they are those of the template now. Mostly they are recorded already: only
    a controller that was killed right after a creation left them out."""
    snapshot, state = ctx.snapshot, ctx.draft.state(node.number)
    template = snapshot.templates.get(node.flow.template_name)
    if template is None:
        return
    rules = snapshot.rules.get(node.name)
    text = carried_text(template.spec, needs_whole=rules is not None and rules.needs_whole)
    if text and any(observed.job.metadata.annotations.get(labels.RULES) == text for observed in jobs):
        ctx.draft.edit(node.number, rules=with_hash(state.rules, carried_hash(text)))


def record_kind(draft: Draft, number: int, gvr: str) -> None:
    """Records a kind of the jobs of a flow. Its template may get another kind after the first job."""
    state = draft.state(number)
    if not state.gvr:
        draft.edit(number, gvr=gvr)
    elif gvr and gvr != state.gvr and gvr not in state.later_gvrs:
        draft.edit(number, later_gvrs=(*state.later_gvrs, gvr))


def kind_of(snapshot: Snapshot, observed: ObservedJob) -> str:
    """The kind of a job."""
    return _text_of(snapshot.gvr_of(observed))


@functools.lru_cache(maxsize=1024)
def _text_of(gvr: GVR) -> str:
    """The kind as text. Jobs of one kind share it."""
    return sys.intern(str(gvr))
