"""What one plan wants done, as values. The order: terminations, creation, status, deletions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pkg.controllers.cronworkflow.planner.snapshot import Notes


@dataclass(frozen=True, slots=True)
class CreateRun:
    """Make the run of a scheduled time. scheduled: the time as RFC 3339 has it, in the zone of the schedule."""

    name: str
    time: int
    scheduled: str


@dataclass(frozen=True, slots=True)
class TerminateRun:
    """Set spec.shutdown of a run to Terminate."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DeleteRun:
    """Delete a run that has ended, with its jobs, unless it has changed since this version: it may be restarted."""

    name: str
    uid: str
    version: str


@dataclass(frozen=True, slots=True)
class Emit:
    """Send an Event on the CronWorkflow."""

    reason: str
    message: str
    is_warning: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The result of one look at a CronWorkflow.

    status: the merge patch of the status, None if nothing of it changed; missed: scheduled times that never get a run
    and were not counted before; wake_at: when to look again if nothing changes (seconds since the epoch); awaited: uids
    of runs whose jobs are waited for; notes: what to remember once the calls have succeeded.
    """

    creation: CreateRun | None = None
    terminations: tuple[TerminateRun, ...] = ()
    status: dict[str, Any] | None = None
    deletions: tuple[DeleteRun, ...] = ()
    events: tuple[Emit, ...] = ()
    missed: int = 0
    wake_at: float | None = None
    awaited: frozenset[str] = frozenset()
    notes: Notes = field(default_factory=Notes)
