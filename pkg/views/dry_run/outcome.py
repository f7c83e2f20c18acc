"""What a dry run shows: when each attempt runs, how many run at once, how long it all takes, and what decides that."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pkg.controllers.workflow.planner.graph.model import Ask, Graph, PreviousPredicate, StatusPredicate
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.views.dry_run.cluster import Attempt
from pkg.views.dry_run.simulate import Simulated

# Simulated times are sums of floats.
_SAME: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Span:
    """One attempt of one task. start, end: seconds since the workflow started; result: Succeeded, Ready, Failed, the
    reason for which it was given up, or unfinished.
    """

    flow: str
    index: int | None
    attempt: int
    start: float
    end: float
    result: str
    is_critical: bool = False

    @property
    def name(self) -> str:
        name = self.flow if self.index is None else f"{self.flow}/{self.index}"
        return f"{name} (attempt {self.attempt})" if self.attempt else name


@dataclass(frozen=True, slots=True)
class NotRun:
    """A task that never had a job, and why."""

    flow: str
    index: int | None
    phase: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class DryRun:
    """The result of a dry run. Times in seconds.

    spans: by their start; critical: the chain of attempts that decides how long everything takes, from the first one;
    busy: seconds of all attempts together; peak: how many ran at once.
    """

    phase: str
    reason: str
    message: str
    makespan: float
    spans: tuple[Span, ...]
    not_run: tuple[NotRun, ...]
    critical: tuple[Span, ...]
    busy: float
    peak: int
    notes: tuple[str, ...]

    @property
    def average(self) -> float:
        """How many attempts run at once on the average."""
        return self.busy / self.makespan if self.makespan else 0.0

    def as_json(self) -> dict[str, Any]:
        """The dry run as `-o json` prints it."""
        return {
            "phase": self.phase,
            "reason": self.reason,
            "message": self.message,
            "makespanSeconds": _rounded(self.makespan),
            "busySeconds": _rounded(self.busy),
            "parallelism": {"peak": self.peak, "average": _rounded(self.average)},
            "attempts": [_span_json(span) for span in self.spans],
            "notRun": [
                {
                    **_task_json(task.flow, task.index),
                    "phase": task.phase,
                    "reason": task.reason,
                    "message": task.message,
                }
                for task in self.not_run
            ],
            "criticalPath": [{**_task_json(span.flow, span.index), "attempt": span.attempt} for span in self.critical],
            "notes": list(self.notes),
        }


def outcome(run: Simulated) -> DryRun:
    """What a simulated run shows."""
    chain = _critical(run)
    marked = {id(attempt) for attempt in chain}
    spans = {id(attempt): _span(run.graph, attempt, id(attempt) in marked) for attempt in run.attempts}
    ran = {attempt.task for attempt in run.attempts}
    status = run.status
    return DryRun(
        phase=status.phase.value if status.phase is not None else "Pending",
        reason=status.reason,
        message=status.message,
        makespan=max((_end(attempt) for attempt in run.attempts), default=0.0),
        spans=tuple(spans.values()),
        not_run=tuple(_not_run(run, ran)),
        critical=tuple(spans[id(attempt)] for attempt in chain),
        busy=sum(span.end - span.start for span in spans.values()),
        peak=_peak(run.attempts),
        notes=run.notes,
    )


def _span(graph: Graph, attempt: Attempt, is_critical: bool) -> Span:
    key = attempt.task
    return Span(
        key.flow, _index(graph, key), attempt.attempt, attempt.start, _end(attempt), attempt.result, is_critical
    )


def _index(graph: Graph, key: TaskKey) -> int | None:
    return key.index if graph[key.flow].is_indexed else None


def _end(attempt: Attempt) -> float:
    return attempt.start if attempt.end is None else attempt.end


def _not_run(run: Simulated, ran: set[TaskKey]) -> Iterator[NotRun]:
    for key, task in run.tasks.items():
        if key not in ran:
            state = run.graph[key.flow]
            yield NotRun(key.flow, key.index if state.is_indexed else None, task.phase.value, task.reason, task.message)


def _peak(attempts: tuple[Attempt, ...]) -> int:
    changes = sorted([(attempt.start, 1) for attempt in attempts] + [(_end(attempt), -1) for attempt in attempts])
    running = highest = 0
    for _, change in changes:
        running += change
        highest = max(highest, running)
    return highest


def _critical(run: Simulated) -> list[Attempt]:
    """The chain of attempts that ends with the last one. Each begins when the one before it ends, or some delay later.

    Before an attempt comes, in this order: the failed attempt of the same task; what its flow waits for, of that the
    last to end; the attempt whose end made room where parallelism is limited, or gave a lock back.
    """
    by_task: dict[TaskKey, list[Attempt]] = {}
    for attempt in run.attempts:
        by_task.setdefault(attempt.task, []).append(attempt)
    by_end = sorted(run.attempts, key=_end)
    last = max(run.attempts, key=_end, default=None)
    chain: list[Attempt] = []
    while last is not None:
        chain.append(last)
        last = _before(run, last, by_task, by_end)
    return chain[::-1]


def _before(
    run: Simulated, attempt: Attempt, by_task: dict[TaskKey, list[Attempt]], by_end: list[Attempt]
) -> Attempt | None:
    own = [other for other in by_task[attempt.task] if other.attempt < attempt.attempt]
    if own:
        return own[-1]
    if attempt.start <= _SAME:
        return None
    waited = [other for other in _waited_for(run, attempt.task, by_task) if other.start <= attempt.start + _SAME]
    found = max(waited, key=lambda other: min(_end(other), attempt.start), default=None)
    if found is not None and (_end(found) >= attempt.start - _SAME or not _has_limit(run, attempt)):
        return found
    freed = [other for other in _ended_at(by_end, attempt.start) if other is not attempt]
    freed.sort(key=lambda other: not _shares_lock(run, attempt, other))
    return freed[0] if freed else found


def _has_limit(run: Simulated, attempt: Attempt) -> bool:
    node = run.graph[attempt.task.flow]
    return run.is_limited or node.parallelism is not None or bool(node.locks)


def _shares_lock(run: Simulated, one: Attempt, other: Attempt) -> bool:
    return not set(run.graph[one.task.flow].locks).isdisjoint(run.graph[other.task.flow].locks)


def _ended_at(by_end: list[Attempt], at: float) -> list[Attempt]:
    low = bisect_left(by_end, at - _SAME, key=_end)
    return by_end[low : bisect_right(by_end, at + _SAME, key=_end)]


def _waited_for(run: Simulated, key: TaskKey, by_task: dict[TaskKey, list[Attempt]]) -> Iterator[Attempt]:
    """The last attempts of the tasks that a task waits for; of a finally flow, of all flows without finally."""
    node = run.graph[key.flow]
    flows: dict[int, None] = {}
    if node.is_finally:
        flows.update(dict.fromkeys(other.number for other in run.graph.nodes if not other.is_finally))
    for predicate in node.predicates():
        if isinstance(predicate, PreviousPredicate):
            before = by_task.get(TaskKey(key.flow, key.index - 1))
            if before:
                yield before[-1]
        else:
            if isinstance(predicate, StatusPredicate) and predicate.ask is Ask.PENDING:
                continue
            flows[predicate.flow] = None
    for number in flows:
        other = run.graph.nodes[number]
        for index in range(other.size):
            found = by_task.get(TaskKey(other.name, index))
            if found:
                yield found[-1]


def _task_json(flow: str, index: int | None) -> dict[str, Any]:
    return {"flow": flow} if index is None else {"flow": flow, "index": index}


def _span_json(span: Span) -> dict[str, Any]:
    return {
        **_task_json(span.flow, span.index),
        "attempt": span.attempt,
        "startSeconds": _rounded(span.start),
        "endSeconds": _rounded(span.end),
        "result": span.result,
        "critical": span.is_critical,
    }


def _rounded(value: float) -> float | int:
    value = round(value, 3)
    return int(value) if value == int(value) else value
