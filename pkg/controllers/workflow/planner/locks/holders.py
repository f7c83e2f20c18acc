"""Who holds locks and who waits for them, as values: what the planner reads and asks for, workflow by workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockName
from pkg.controllers.workflow.planner.progress import TaskKey

#: The workflow as a whole, where tasks are named: no flow has an empty name.
WHOLE: Final = TaskKey("", 0)


@dataclass(frozen=True, slots=True, order=True)
class Holder:
    """A task, or a workflow as a whole (no flow), among all workflows.

    key: `namespace/name` of the workflow; is_indexed: the flow has `for`, so that messages name the index.
    """

    key: str
    uid: str
    flow: str = ""
    index: int = 0
    is_indexed: bool = field(default=False, compare=False)

    @staticmethod
    def of(key: str, uid: str, want: Want) -> Holder:
        """Who wants that, in this workflow."""
        return Holder(key, uid, want.task.flow, want.task.index, want.is_indexed)

    @property
    def task(self) -> TaskKey:
        return TaskKey(self.flow, self.index)

    @property
    def is_whole(self) -> bool:
        """Whether it is a workflow, and not one of its tasks."""
        return not self.flow

    @property
    def identity(self) -> str:
        """As messages and Leases name it: `workflow/flow[index]`."""
        name = self.key.partition("/")[2]
        if not self.flow:
            return name
        return f"{name}/{self.flow}[{self.index}]" if self.is_indexed else f"{name}/{self.flow}"


@dataclass(frozen=True, slots=True)
class LockAnswer:
    """Why a task waits for its locks, as reason and message of its flow.

    topic: the same for answers that differ in who holds the lock alone, empty for all others. Nobody is told each time
    a lock passes on, not even to one who is before them for another lock.
    """

    reason: str
    message: str
    topic: str = ""

    def is_news_after(self, shown: LockAnswer) -> bool:
        """Whether those who read `shown` are to be told this."""
        return self != shown and not (self.topic and self.topic == shown.topic)


@dataclass(frozen=True, slots=True)
class Want:
    """A task, or WHOLE, that waits for all of its locks, or holds them and has no job yet.

    attempt: the one whose job is to be made; since: when it began to wait (seconds since the epoch); rank: its place
    among those of the same workflow that began at the same time; kinds: of the jobs that it will have, as `GVR.parse`
    reads them; shown: what its flow says that it waits for, given for one task of each flow.
    """

    task: TaskKey
    attempt: int
    locks: tuple[LockName, ...]
    since: float
    rank: tuple[int, int] = (0, 0)
    is_indexed: bool = False
    kinds: tuple[str, ...] = ()
    shown: LockAnswer | None = None


@dataclass(frozen=True, slots=True)
class KnownJobs:
    """The jobs of a task that the caches show. newest: the highest attempt that has one; is_final: the task has ended,
    and status records that.
    """

    uids: frozenset[str] = frozenset()
    newest: int = -1
    is_final: bool = False


NO_JOBS: Final = KnownJobs()


@dataclass(frozen=True, slots=True)
class LockNeeds:
    """What a plan needs of locks: who waits, and who keeps what it holds. Whoever is in neither gives it back.

    jobs: of those that give something back; unsure: those of them whose last creation had no answer, so that the job
    may come yet.
    """

    wants: tuple[Want, ...] = ()
    keeps: frozenset[TaskKey] = frozenset()
    jobs: Mapping[TaskKey, KnownJobs] = field(default_factory=dict)
    unsure: frozenset[TaskKey] = frozenset()


@dataclass(frozen=True, slots=True)
class LockView:
    """What is known of the locks of one workflow.

    granted: which tasks, or WHOLE, hold all of their locks, acknowledged by the API server, and for which attempt;
    holders: those that hold any place, or are taking one; is_waiting: others stand in line; answers: why the first of
    each flow does; locks: why nobody can take these locks now.
    """

    granted: Mapping[TaskKey, int] = field(default_factory=dict)
    holders: frozenset[TaskKey] = frozenset()
    answers: Mapping[TaskKey, LockAnswer] = field(default_factory=dict)
    locks: Mapping[LockName, LockAnswer] = field(default_factory=dict)
    is_waiting: bool = False
