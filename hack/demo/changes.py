"""What changed between two states of a workflow, in words. PURE."""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.flow.v1alpha1.indexes import pack_indexes, unpack_indexes
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import FlowStatus, Workflow
from pkg.apis.meta import seconds

NOTABLE = frozenset({Phase.BACKOFF, Phase.SKIPPED, Phase.FAILED, Phase.CANCELLED})
"""States that are shown first where only a few lines fit."""


@dataclass(frozen=True, slots=True)
class Change:
    """`what` is `workflow` or `workflow/flow`; `phase` is its new state."""

    what: str
    phase: Phase | WorkflowPhase
    text: str = ""

    @property
    def is_notable(self) -> bool:
        if isinstance(self.phase, WorkflowPhase):
            return self.phase.is_final
        return self.phase in NOTABLE


def changes(old: Workflow | None, new: Workflow, now: float) -> list[Change]:
    """Everything that changed, flows first; `now` in seconds since the epoch."""
    name = new.metadata.name
    before = {flow.name: flow for flow in old.status.flows} if old is not None else {}
    found = [
        change for flow in new.status.flows for change in _flow(f"{name}/{flow.name}", before.get(flow.name), flow, now)
    ]
    phase = new.status.phase
    if phase is not None and (old is None or old.status.phase is not phase):
        found.append(Change(name, phase, new.status.message if phase.is_final else ""))
    return found


def _flow(what: str, old: FlowStatus | None, new: FlowStatus, now: float) -> list[Change]:
    was = old.phase if old is not None else Phase.WAITING
    attempts = old.attempts if old is not None else 0
    found: list[Change] = []
    backoff = sorted({*unpack_indexes(new.backoff)} - {*unpack_indexes(old.backoff if old is not None else "")})
    if backoff:
        found.append(Change(f"{what}[{pack_indexes(backoff)}]", Phase.BACKOFF, _due(new, now)))
    if was is new.phase:
        if new.attempts > max(attempts, 1):
            found.append(Change(what, new.phase, f"attempt {new.attempts}"))
        return found
    if new.phase is Phase.BACKOFF:
        return found or [Change(what, Phase.BACKOFF, _due(new, now))]
    if new.phase in NOTABLE:
        found.append(Change(what, new.phase, ": ".join(filter(None, (new.reason, new.message)))))
    else:
        found.append(Change(what, new.phase, f"attempt {new.attempts}" if new.attempts > 1 else ""))
    return found


def _due(flow: FlowStatus, now: float) -> str:
    if not flow.next_attempt_time:
        return "failed; next attempt follows"
    return f"failed; next attempt in {max(0.0, seconds(flow.next_attempt_time) - now):.1f} s"
