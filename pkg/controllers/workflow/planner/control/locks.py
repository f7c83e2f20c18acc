"""Which tasks wait for locks, which may have their job made because they hold them, and who keeps what it holds.

A task that could start but for its locks stands in line for them. Once it holds them all, its job is made. If that
cannot be, it gives them back, so that nobody holds a lock for nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec import structs

from pkg.apis.flow.v1alpha1.phases import BACKOFF, WAITING
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.structs import is_equal
from pkg.controllers.workflow.planner.actions import Plan
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.control.obstacles import (
    Candidate,
    Fails,
    Obstacle,
    Unknown,
    Waits,
    obstacle_to_start,
)
from pkg.controllers.workflow.planner.graph.model import Node
from pkg.controllers.workflow.planner.locks.holders import (
    WHOLE,
    KnownJobs,
    LockAnswer,
    LockNeeds,
    LockView,
    Want,
)
from pkg.controllers.workflow.planner.locks.holding import keeps_locks
from pkg.controllers.workflow.planner.locks.words import TAKING
from pkg.controllers.workflow.planner.progress import FlowState, Progress, Task, TaskKey
from pkg.controllers.workflow.planner.reading import look
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot

#: So many tasks of one flow stand in line at once. The others follow them, in the order in which they began to wait.
MAX_WAITING: Final = 256
#: Obstacles that pass in a moment: a task keeps its locks meanwhile.
_SHORT: Final = frozenset({Reasons.KIND_SYNCING})


@dataclass(slots=True)
class Gate:
    """Lets those tasks of a flow pass that hold their locks, and keeps the others in line.

    slots: how many more jobs the flow may have; meet: shows an obstacle to a job.
    """

    ctx: Context
    node: Node
    slots: float
    meet: Callable[[Candidate, Obstacle], None]
    #: How many tasks stand in line.
    waiting: int = 0
    #: Some do not, because they have no slot.
    is_full: bool = False
    _first: TaskKey | None = None
    #: A task that begins to wait, and what becomes of it: thousands of tasks that are one value in memory stay so.
    _same: tuple[Task, Task] = field(default=(Task(), Task()))

    @property
    def _view(self) -> LockView:
        return self.ctx.snapshot.locks or LockView()

    def order(self, tasks: Sequence[Task]) -> Iterable[tuple[int, Task]]:
        """The tasks with their indexes: those that hold their locks first, because they may start."""
        name = self.node.name
        first = {key.index for key in self._view.granted if key.flow == name and key.index < len(tasks)}
        if not first:
            return enumerate(tasks)
        rest = ((index, task) for index, task in enumerate(tasks) if index not in first)
        return (*((index, tasks[index]) for index in sorted(first)), *rest)

    def admits(self, of: Candidate) -> bool:
        """Whether the task holds its locks for this attempt. If not, it waits for them."""
        granted = self._view.granted
        is_held = WHOLE in granted if self.ctx.graph.locks else granted.get(of.key) == of.attempt
        if not is_held:
            self._wait(of)
        return is_held

    def _wait(self, of: Candidate) -> None:
        """The task stands in line, unless something else prevents its job as well, or it has no slot."""
        if self.waiting >= self.slots:
            self.is_full = True
            self.give_back(of.index, of.task)
            return
        is_new = of.task.current.waits_since is None
        if is_new or not self.waiting:
            self.ctx.budget.spend(1)
            obstacle = obstacle_to_start(self.ctx, of)
            if isinstance(obstacle, Waits | Unknown | Fails):
                if is_new or _is_lasting(obstacle):
                    self.give_back(of.index, of.task)
                else:
                    self.waiting += 1  # it keeps its place: a controller that was just started knows little
                self.meet(structs.replace(of, task=self.ctx.draft.task(self.node.number, of.index)), obstacle)
                return
        self.waiting += 1
        if self._first is None:
            self._first = of.key
        if is_new or of.task.current.makeable is not None:
            if self._same[0] is not of.task:
                since = self.ctx.now if is_new else of.task.current.waits_since
                self._same = (of.task, of.task.with_current(waits_since=since, makeable=None))
            self.ctx.draft.put(self.node.number, of.index, self._same[1])

    def give_back(self, index: int, task: Task) -> None:
        """The task leaves the line, and gives back what it holds."""
        if task.current.waits_since is not None:
            self.ctx.draft.put(self.node.number, index, task.with_current(waits_since=None, makeable=None))

    def after_obstacle(self, of: Candidate, obstacle: Obstacle) -> None:
        """A task that holds its locks has no job all the same: it gives them back, unless that passes in a moment."""
        if not self.ctx.graph.locks and _is_lasting(obstacle) and not _may_have_job(self.ctx, of):
            self.give_back(of.index, self.ctx.draft.task(self.node.number, of.index))

    def after_refusal(self, of: Candidate) -> None:
        """The creation was refused: there is no job, and the next try waits its turn again."""
        fault = self.ctx.snapshot.faults.get(of.key)
        if fault is not None and fault.reason == Reasons.LOCK_HELD:
            return  # it was not asked for, because the locks have to be taken again
        if not self.ctx.graph.locks and not _may_have_job(self.ctx, of):
            self.give_back(of.index, self.ctx.draft.task(self.node.number, of.index))

    def show(self, full: str) -> None:
        """Shows on the flow what the first of its tasks that stand in line waits for. full: what those without a slot
        read.
        """
        if self._first is not None:
            answer = _shown(self.ctx, self.node, self._first)
            self.ctx.draft.edit(self.node.number, wait_reason=answer.reason, wait_message=answer.message[:512])
        elif self.is_full and not self.waiting:
            self.ctx.draft.edit(self.node.number, wait_reason=Reasons.PARALLELISM_REACHED, wait_message=full)


def _is_lasting(obstacle: Obstacle) -> bool:
    """Whether an obstacle may last, so that nobody should hold a lock or a place in line for it."""
    return isinstance(obstacle, Fails) or (isinstance(obstacle, Waits) and obstacle.reason not in _SHORT)


def _may_have_job(ctx: Context, of: Candidate) -> bool:
    """Whether the last creation of this attempt had no answer, so that its job may be there."""
    fault = ctx.snapshot.faults.get(of.key)
    return fault is not None and fault.attempt == of.attempt and fault.is_unanswered


def gate(ctx: Context, node: Node, slots: float, meet: Callable[[Candidate, Obstacle], None]) -> Gate | None:
    """The gate of a flow with locks; None for a flow without, and where nobody keeps locks."""
    if node.number not in ctx.graph.locking or ctx.snapshot.locks is None:
        return None
    return Gate(ctx, node, slots, meet)


def holder_of(ctx: Context, of: Candidate) -> TaskKey | None:
    """Who has to hold the locks for a job of this task; None for a flow without, and where nobody keeps locks."""
    if of.node.number not in ctx.graph.locking or ctx.snapshot.locks is None:
        return None
    return WHOLE if ctx.graph.locks else of.key


def leave_line(ctx: Context, node: Node) -> None:
    """The tasks of a flow do not wait any more, because the workflow is suspended or held."""
    if node.number not in ctx.graph.locking:
        return
    for index, task in enumerate(tuple(ctx.draft.tasks(node.number))):
        if task.current.waits_since is not None and task.phase in (WAITING, BACKOFF):
            ctx.draft.put(node.number, index, task.with_current(waits_since=None, makeable=None))


def needs(ctx: Context, progress: Progress, *, is_written: bool) -> LockNeeds | None:
    """What a running workflow needs of locks after this pass; None if it has to do with none.

    is_written: the pass writes status, so that the progress is what status records once the plan is carried out.
    """
    view, graph = ctx.snapshot.locks, ctx.graph
    if view is None or not (graph.locking or view.holders or view.is_waiting):
        return None
    acked = progress.flows if is_written or not progress.is_dirty else progress.acked
    keeps = frozenset(key for key in view.holders if _keeps(ctx, key, progress, acked))
    wants = tuple(_wants(ctx, progress))
    rest = view.holders - keeps - {want.task for want in wants}
    jobs = {key: _known_jobs(ctx.snapshot, key, is_final=_is_final(ctx, key, acked)) for key in rest}
    return LockNeeds(wants, keeps, jobs, frozenset(key for key in rest if _is_unanswered(ctx.snapshot, key)))


def has_end_to_record(ctx: Context) -> bool:
    """Whether a task that holds a lock has ended, and status does not record it: others wait for that."""
    view = ctx.snapshot.locks
    if view is None or not view.holders:
        return False
    for key in view.holders:
        node, task = ctx.node_of(key), ctx.task_of(key)
        if node is None or task is None or not task.has_verdict:
            continue
        recorded = ctx.draft.base.acked[node.number].tasks[key.index]
        if (recorded.phase, recorded.attempt) != (task.phase, task.attempt):
            return True
    return False


def after_end(made: Plan, snapshot: Snapshot) -> Plan:
    """The plan for a workflow that has ended: a task keeps its locks while its job goes on, or goes away."""
    view = snapshot.locks
    if view is None or not (view.holders or view.is_waiting):
        return made
    keeps = frozenset(key for key in view.holders if snapshot.awaited or _has_unfinished_job(snapshot, key))
    jobs = {key: _known_jobs(snapshot, key, is_final=True) for key in view.holders - keeps}
    unsure = frozenset(key for key in jobs if _is_unanswered(snapshot, key))
    return structs.replace(made, locks=LockNeeds(keeps=keeps, jobs=jobs, unsure=unsure))


def is_whole(key: TaskKey) -> bool:
    """Whether the workflow as a whole is the holder."""
    return is_equal(key, WHOLE)


def _keeps(ctx: Context, key: TaskKey, progress: Progress, acked: Sequence[FlowState]) -> bool:
    if is_whole(key):
        return True
    node = ctx.node_of(key)
    if node is not None and ctx.may_hide_jobs(node):
        return True
    task = recorded = None
    if node is not None:
        task, recorded = progress.flows[node.number].tasks[key.index], acked[node.number].tasks[key.index]
    return keeps_locks(task, recorded, has_unfinished_job=_has_unfinished_job(ctx.snapshot, key))


def _has_unfinished_job(snapshot: Snapshot, key: TaskKey) -> bool:
    """Whether a task has a job that has not finished; of a workflow as a whole, one that is under deletion."""
    if not is_whole(key):
        return any(_is_unfinished(snapshot, one) for one in snapshot.jobs.get(key, ()))
    every = (one for jobs in snapshot.jobs.values() for one in jobs)
    return any(one.job.metadata.is_deleting and _is_unfinished(snapshot, one) for one in every)


def _known_jobs(snapshot: Snapshot, key: TaskKey, *, is_final: bool) -> KnownJobs:
    """The jobs of a task that the caches show; of a workflow as a whole, all of them."""
    every = snapshot.jobs.items() if is_whole(key) else ((key, snapshot.jobs.get(key, ())),)
    jobs = [one for _, jobs in every for one in jobs if not one.is_foreign]
    uids = frozenset(one.job.metadata.uid for one in jobs)
    return KnownJobs(uids, max((one.attempt for one in jobs), default=-1), is_final)


def _is_final(ctx: Context, key: TaskKey, acked: Sequence[FlowState]) -> bool:
    node = ctx.node_of(key)
    return node is not None and acked[node.number].tasks[key.index].phase.is_final


def _is_unanswered(snapshot: Snapshot, key: TaskKey) -> bool:
    """Whether the last creation had no answer, so that the job may come yet."""
    faults = snapshot.faults.values() if is_whole(key) else (snapshot.faults.get(key),)
    return any(fault is not None and fault.is_unanswered for fault in faults)


def _is_unfinished(snapshot: Snapshot, observed: ObservedJob) -> bool:
    return not observed.is_foreign and not look(snapshot, observed).is_final


def _wants(ctx: Context, progress: Progress) -> Iterator[Want]:
    graph = ctx.graph
    whole: float | None = None
    for number in sorted(graph.locking & progress.not_final):
        node, state = graph.nodes[number], progress.flows[number]
        if not state.count(WAITING, BACKOFF):
            continue
        standing = [
            (task.current.waits_since, index)
            for index, task in enumerate(state.tasks)
            if task.current.waits_since is not None and _may_start(task)
        ]
        if graph.locks:
            whole = min((since for since, _ in standing), default=whole) if whole is None else whole
            continue
        if not standing:
            continue
        kinds, first = _kinds(ctx, (node,)), min(index for _, index in standing)
        shown = _shown(ctx, node, TaskKey(node.name, first))
        chosen = heapq.nsmallest(MAX_WAITING, standing)
        speaker = first if any(index == first for _, index in chosen) else chosen[0][1]
        for since, index in chosen:
            task = state.tasks[index]
            attempt = task.attempt + 1 if task.phase is BACKOFF else max(task.attempt, state.first_attempt)
            key, rank = TaskKey(node.name, index), (number, index)
            told = shown if index == speaker else None
            yield Want(key, attempt, node.locks, since, rank, node.is_indexed, kinds, told)
    if whole is not None:
        shown = _shown(ctx, graph.nodes[0], WHOLE)
        yield Want(WHOLE, 0, graph.locks, whole, kinds=_kinds(ctx, graph.nodes), shown=shown)


def _may_start(task: Task) -> bool:
    return task.phase is BACKOFF or (task.phase is WAITING and task.released is not None)


def _shown(ctx: Context, node: Node, key: TaskKey) -> LockAnswer:
    """What the flow of a task that waits for its locks shows."""
    view, locks = ctx.snapshot.locks or LockView(), ctx.graph.locks or node.locks
    answer = view.answers.get(WHOLE if ctx.graph.locks else key)
    return answer or next((view.locks[lock] for lock in locks if lock in view.locks), TAKING)


def _kinds(ctx: Context, nodes: Iterable[Node]) -> tuple[str, ...]:
    """The kinds of the jobs that these flows have or will have."""
    found: dict[str, None] = {}
    for node in nodes:
        template = ctx.snapshot.templates.get(node.flow.template_name)
        if template is not None:
            found[str(template.spec.gvr.gvr)] = None
        found.update(dict.fromkeys(ctx.draft.state(node.number).gvrs))
    return tuple(sorted(found))
