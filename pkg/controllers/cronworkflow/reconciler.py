"""The reconcile of one CronWorkflow: build the snapshot, plan, carry out, and set the alarm for the next look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import structlog

from pkg.apis.flow.v1alpha1.faults import Faults
from pkg.apis.flow.v1alpha1.reasons import CronReasons
from pkg.apis.flow.v1alpha1.schedules import Timetable
from pkg.apis.flow.v1alpha1.types import API_VERSION, ConcurrencyPolicy, CronWorkflow, Workflow
from pkg.controllers.cronworkflow.calls import Calls, NameTaken
from pkg.controllers.cronworkflow.judge import judge
from pkg.controllers.cronworkflow.planner.actions import CreateRun, Emit, Plan
from pkg.controllers.cronworkflow.planner.plan import plan
from pkg.controllers.cronworkflow.planner.snapshot import Notes, Snapshot
from pkg.controllers.cronworkflow.runs import CRON_INDEX, run_of
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.result import Again, Done, Drop, Later, Result
from pkg.controllers.engine.store import Store
from pkg.kube.errors import Conflict, KubeError, NamespaceTerminating, NotFound, Refused, Stopped
from pkg.kube.event_recorder import EventRecorder, ObjectReference

#: After the status runs are deleted: that needs another plan.
_MAX_PLANS: Final = 3
_BEHIND_SECONDS: Final = 0.1
#: A run that the API server refuses for what it is: an admission policy may change its mind.
_REFUSED_SECONDS: Final = 30.0
_log = structlog.get_logger("cronworkflow.reconciler")


class Numbers(Protocol):
    """What is counted."""

    def created(self, seconds_late: float) -> None:
        """A run was made, so long after its scheduled time."""

    def failed(self) -> None:
        """A run could not be made, and is tried again."""

    def missed(self, number: int) -> None:
        """So many scheduled times get no run."""


class Bell(Protocol):
    """The part of Alarms that is used here."""

    def set(self, key: str, at: float | None) -> None: ...


@dataclass(slots=True)
class _Memory:
    """Of one CronWorkflow; safe to lose. Only the worker of its shard writes it.

    said: the last Event about a run that could not be made; judged: the verdict on the spec of this generation;
    awaited: uids of the runs whose jobs are waited for.
    """

    uid: str
    notes: Notes = field(default_factory=Notes)
    said: str = ""
    generation: int = -1
    judged: Timetable | Faults | None = None
    awaited: frozenset[str] = frozenset()


class CronReconciler:
    """owns(key): whether this process may write; is_behind(): the caches are older than this leadership term; has_jobs:
    whether jobs of a Workflow are being deleted, or may be; announce(delta): calls the event handlers of Workflows for
    what an own write has changed; clock: seconds since the epoch.
    """

    def __init__(
        self,
        crons: Store[CronWorkflow],
        workflows: Store[Workflow],
        calls: Calls,
        recorder: EventRecorder,
        numbers: Numbers,
        bell: Bell,
        *,
        owns: Callable[[str], bool],
        is_behind: Callable[[], bool],
        has_jobs: Callable[[Workflow], bool],
        announce: Callable[[Delta[Workflow]], None],
        clock: Callable[[], float],
    ) -> None:
        self._crons = crons
        self._workflows = workflows
        self._calls = calls
        self._recorder = recorder
        self._numbers = numbers
        self._bell = bell
        self._owns = owns
        self._is_behind = is_behind
        self._has_jobs = has_jobs
        self._announce = announce
        self._clock = clock
        self._memories: dict[str, _Memory] = {}
        #: uid of a run whose jobs are waited for -> key of its CronWorkflow. All workers write it, so nothing iterates
        #: over it.
        self.awaited: dict[str, str] = {}

    def forget(self) -> None:
        """This process does not lead any more."""
        self._memories.clear()
        self.awaited.clear()

    def reconcile(self, key: str) -> Result:
        """One reconcile of a CronWorkflow by `namespace/name`."""
        cron = self._crons.get(key)
        if cron is None:
            self._forget(key)
            self._bell.set(key, None)
            return Drop()
        if not self._owns(key):
            return Done()
        if self._is_behind():
            return Later(_BEHIND_SECONDS, "the caches are older than the leadership term")
        try:
            return self._plan_and_execute(key)
        except Conflict:
            return Again("it was computed from an older copy")
        except (NotFound, NamespaceTerminating):
            return Done()  # it is gone or going, and the watch says so
        except Stopped:
            return Done()
        except KubeError as error:
            _log.warning("a call failed, it is tried again", error=str(error))
            return Again(f"a call failed: {error}")

    def _plan_and_execute(self, key: str) -> Result:
        for _ in range(_MAX_PLANS):
            cron = self._crons.get(key)
            if cron is None:
                return Again("it has just gone")
            memory = self._memory(key, cron)
            made = plan(self._snapshot(key, cron, memory))
            self._note(key, cron, memory, made)
            self._bell.set(key, made.wake_at)
            for termination in made.terminations:
                if (ended := self._calls.terminate(cron, termination)) is not None:
                    self._absorb(ended)
            if made.creation is not None:
                return self._create(cron, memory, made.creation)
            if made.status is not None:
                self._crons.absorb(self._calls.patch_status(cron, made.status))
                continue
            for deletion in made.deletions:
                self._calls.delete(cron, deletion)
            return Done()
        return Later(0, "more is to be done")

    def _memory(self, key: str, cron: CronWorkflow) -> _Memory:
        memory = self._memories.get(key)
        if memory is None or memory.uid != cron.metadata.uid:
            self._forget(key)
            memory = self._memories[key] = _Memory(cron.metadata.uid)
        if memory.judged is None or memory.generation != cron.metadata.generation:
            memory.judged, memory.generation = judge(cron), cron.metadata.generation
        return memory

    def _forget(self, key: str) -> None:
        memory = self._memories.pop(key, None)
        if memory is not None:
            self._await(key, memory, frozenset())

    def _await(self, key: str, memory: _Memory, uids: frozenset[str]) -> None:
        """From now on a change of the jobs of exactly these runs requeues the CronWorkflow."""
        for uid in uids - memory.awaited:
            self.awaited[uid] = key
        for uid in memory.awaited - uids:
            self.awaited.pop(uid, None)
        memory.awaited = uids

    def _snapshot(self, key: str, cron: CronWorkflow, memory: _Memory) -> Snapshot:
        assert memory.judged is not None
        # Only Replace reads this, and the look goes through the jobs of each run.
        is_asked = cron.spec.concurrency_policy is ConcurrencyPolicy.REPLACE
        has_jobs = self._has_jobs if is_asked else _no_jobs
        workflows = self._workflows.by_index(CRON_INDEX, cron.metadata.uid)
        if is_asked:
            # Before the look: a job that goes right after it requeues the CronWorkflow, too.
            self._await(key, memory, frozenset(workflow.metadata.uid for workflow in workflows))
        runs = tuple(run_of(workflow, cron.metadata.name, has_jobs) for workflow in workflows)
        return Snapshot(cron, memory.judged, runs, self._clock(), memory.notes)

    def _note(self, key: str, cron: CronWorkflow, memory: _Memory, made: Plan) -> None:
        """Remembers and says what does not depend on calls."""
        memory.notes = made.notes
        self._await(key, memory, made.awaited)
        if made.missed:
            self._numbers.missed(made.missed)
            _log.warning("scheduled times get no run", missed=made.missed)
        for event in made.events:
            self._emit(cron, event)

    def _create(self, cron: CronWorkflow, memory: _Memory, action: CreateRun) -> Result:
        """Makes a run. The status that shows it is written behind the keys that wait already.

        So where thousands of runs are due at one moment, none of them waits for the status of another.
        """
        try:
            run, is_new = self._calls.create(cron, action)
        except NameTaken as error:
            return self._failed(cron, memory, action, str(error), _REFUSED_SECONDS)
        except Refused as error:
            return self._failed(cron, memory, action, error.message, _REFUSED_SECONDS)
        except (NamespaceTerminating, Stopped):
            raise
        except KubeError as error:
            return self._failed(cron, memory, action, error.message, None)
        self._absorb(run)
        memory.notes, memory.said = replace(memory.notes, made=max(memory.notes.made, action.time)), ""
        if is_new:
            self._numbers.created(max(0.0, self._clock() - action.time))
            _log.info("run created", run=action.name, scheduled=action.scheduled)
            self._emit(cron, Emit(CronReasons.RUN_CREATED, f"made Workflow {action.name} for {action.scheduled}"))
        return Later(0, "the status has to show the run")

    def _failed(
        self, cron: CronWorkflow, memory: _Memory, action: CreateRun, why: str, again_in: float | None
    ) -> Result:
        self._numbers.failed()
        message = f"the run of {action.scheduled} is not made yet, it is tried again: {why}"
        is_new, memory.said = memory.said != message, message
        (_log.warning if is_new else _log.debug)("run not created, it is tried again", run=action.name, error=why)
        if is_new:
            self._emit(cron, Emit(CronReasons.RUN_NOT_CREATED, message, is_warning=True))
        return Again(why) if again_in is None else Later(again_in, why)

    def _absorb(self, run: Workflow) -> None:
        """Takes in our own write. Its watch event then changes nothing, so the event handlers are called here."""
        delta = self._workflows.absorb(run)
        if delta is not None:
            self._announce(delta)

    def _emit(self, cron: CronWorkflow, event: Emit) -> None:
        meta = cron.metadata
        about = ObjectReference(API_VERSION, "CronWorkflow", meta.name, meta.namespace, meta.uid, meta.resource_version)
        self._recorder.emit(about, "Warning" if event.is_warning else "Normal", event.reason, event.message)


def _no_jobs(_workflow: Workflow) -> bool:
    return False
