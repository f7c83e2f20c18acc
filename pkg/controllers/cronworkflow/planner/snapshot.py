"""What a plan for one CronWorkflow is made from, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field

from pkg.apis.flow.v1alpha1.faults import Faults
from pkg.apis.flow.v1alpha1.schedules import Timetable
from pkg.apis.flow.v1alpha1.types import CronWorkflow


@dataclass(frozen=True, slots=True)
class Run:
    """One Workflow of the CronWorkflow, as the cache has it. Times are seconds since the epoch.

    time: its scheduled time; None if a person started it. ended_at: 0 while it has not ended. is_terminated: its
    spec.shutdown is Terminate. has_jobs: it has jobs that are being deleted, or may have. version: its resourceVersion.
    """

    name: str
    uid: str
    time: int | None = None
    created_at: float = 0.0
    is_ended: bool = False
    has_succeeded: bool = False
    ended_at: float = 0.0
    is_terminated: bool = False
    is_deleting: bool = False
    has_jobs: bool = False
    version: str = ""

    @property
    def age(self) -> tuple[float, str]:
        """Older runs have a smaller one."""
        return (self.time if self.time is not None else self.created_at, self.name)


@dataclass(frozen=True, slots=True)
class Notes:
    """What this process remembers of one CronWorkflow; safe to lose. Times are seconds since the epoch.

    made: the newest scheduled time whose run it has made; counted: missed times up to this one have been counted;
    waits: the time whose run waits for an earlier one, as an Event has said; shown: the message of the condition Valid
    that an Event has said; paused: it was suspended or not valid at the last look.
    """

    made: int = 0
    counted: float = 0.0
    waits: int = 0
    shown: str = ""
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A CronWorkflow at one moment. judged: its timetable, or why no run can be made; now: seconds since the epoch."""

    cron: CronWorkflow
    judged: Timetable | Faults
    runs: tuple[Run, ...]
    now: float
    notes: Notes = field(default_factory=Notes)
