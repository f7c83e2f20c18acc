"""A slow and simple evaluator of workflows, written from the contract.

It shares nothing with the code under test but the API types, and caches nothing: every step goes over every task
until nothing changes. Its input is what one pass could see, its output is the right state of every task. Results that
depend on clocks or calls (a deleted job, a timeout, a refused creation) are claims of the code under test. The
simulation checks each claim against the world, and the reference then uses it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pkg.apis.flow.v1alpha1 import durations
from pkg.apis.flow.v1alpha1.types import DependsOn, Flow, Group, Retry, WorkflowSpec
from pkg.apis.meta import seconds, timestamp

At = tuple[str, int]
FINAL: Final = ("Succeeded", "Failed", "Skipped", "Cancelled")
UNFINISHED: Final = ("Pending", "Suspended", "Running")
EARLY: Final = ("JobDeleted", "DeadlineExceeded", "PendingTimeout")
LATE: Final = ("RenderError", "Refused", "NameConflict", "ApplyConflict")
#: No failure: a task of action Delete says that its object is gone.
GONE: Final = "gone"
#: Templates of flows that apply an object, and of those that delete one.
APPLYING: Final = ("server", "map", "batch")
DELETING: Final = ("drop-server", "drop-map")
_FAILINGS: Final = ("Failed", "Cancelled", "Skipped")
_MEANT: Final = {"Succeeded": "Completed", "Terminated": "Failed", "Aborted": "Failed"}

TRUE, UNKNOWN, IMPOSSIBLE, TIMED_OUT = "True", "Unknown", "Impossible", "Impossible by ProbeTimeout"


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A job as the cache has it: its attempt, its state (a task state), whether it is being deleted, the list that it
    hands out, whether it has the output x, and what the task does with it if it is no job: Apply or Delete.
    """

    attempt: int
    says: str
    is_deleting: bool = False
    list: str = ""
    gives: bool = True
    action: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """The code under test says that this attempt failed for a reason that no job shows, or that its object is gone."""

    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything one pass could see. jobs: there now; gone: vanished since the last look, as they last were;
    is_overdue: the workflow's own timeout has passed; hidden: flows whose jobs the caches may not all show yet;
    pod_ips: tasks whose lead pod has an address; is_held: the spec was edited, and `spec` is that of the start;
    is_deferred: the controller does not know that one, so that it judges no failure; asked: the flows for which the
    outcome waits since the last restart; waits_for_end: how the workflow went, which `finally` flows read, is not
    settled yet."""

    now: float
    spec: WorkflowSpec
    jobs: Mapping[At, tuple[JobSeen, ...]]
    gone: Mapping[At, tuple[JobSeen, ...]]
    passed: frozenset[tuple[str, str, int]]
    is_overdue: bool
    hidden: frozenset[str]
    claims: Mapping[At, Claim]
    pod_ips: frozenset[At] = frozenset()
    is_held: bool = False
    is_deferred: bool = False
    asked: tuple[str, ...] = ()
    waits_for_end: bool = False


@dataclass(slots=True)
class RefTask:
    state: str = "Waiting"
    attempt: int = 0
    reason: str = ""
    has_job_known: bool = False
    had_job: bool = False
    ran: bool = False
    reported: bool = False
    released: bool = False
    is_service: bool = False
    service_is_up: bool = False
    #: The controller has not seen the job of this service since it was started.
    is_unseen: bool = False
    ran_at: float | None = None
    due: float | None = None
    ready_at: float | None = None
    latches: set[tuple[str, int]] = field(default_factory=set)
    #: The list that its job handed out when it succeeded.
    list: str = ""

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


@dataclass(slots=True)
class Reference:
    """services: names of flows whose jobs count as done once they are ready; peers: flow -> flows whose pod address its
    job needs; firsts: flow -> the attempt that its last restart began with."""

    spec: WorkflowSpec
    services: frozenset[str] = frozenset()
    peers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    tasks: dict[At, RefTask] = field(default_factory=dict)
    firsts: dict[str, int] = field(default_factory=dict)
    decided: str = ""  # "", "Succeeded" or "Failed"
    decided_by: str = ""  # "policy", "Stop", "Terminate" or "timeout"
    phase: str = "Pending"
    #: The tasks that the last restart brought.
    fresh: set[At] = field(default_factory=set)
    #: Numbers of tasks by lists that were read: those that status records, and those that it does not record yet.
    counts: dict[str, int] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)
    _saved: tuple[dict[At, RefTask], str, str, dict[str, int]] | None = None

    def __post_init__(self) -> None:
        self.follow(self.spec)
        self.acknowledge()

    def follow(self, spec: WorkflowSpec) -> None:
        """Takes the tasks of this spec; tasks that were there before keep their state."""
        self.spec = spec
        known, self.tasks = self.tasks, {}
        for flow in spec.flows:
            count = self.counts.get(flow.name, 1) if flow.items_from else flow.replicas
            first = self.firsts.get(flow.name, 0) if flow.items_from else 0
            for index in range(max(1, count)):
                fresh = RefTask("Waiting" if count else "Skipped", first, is_service=flow.name in self.services)
                self.tasks[flow.name, index] = known.get((flow.name, index), fresh)

    def restart(self, spec: WorkflowSpec, phase: str, jobs: Mapping[At, tuple[JobSeen, ...]]) -> set[At]:
        """The tasks that a restart asked for now runs again, Waiting from now on; none if there are none to run."""
        self._drop_other_tasks(spec)
        known = set(self.tasks)
        self.follow(spec)
        self.fresh = set(self.tasks) - known
        named = self.downstream(spec.restart.flows if spec.restart is not None else ())
        has_failed = phase == "Failed"
        is_any = has_failed or bool(named) or any(not task.is_final for task in self.tasks.values())
        again = set()
        for flow, at, task in self._all():
            is_gone = not any(job.attempt == task.attempt and not job.is_deleting for job in jobs.get(at, ()))
            is_wanted = (
                flow.name in named
                or (has_failed and spec.restart is not None and not spec.restart.flows and task.state in _FAILINGS)
                or not task.is_final
                or (is_any and flow.finally_)
                or (is_any and task.is_service and task.state == "Succeeded" and is_gone)
            )
            if (flow.replicas or flow.items_from) and is_wanted:
                again.add(at)
        for at in again:
            self.tasks[at] = RefTask(is_service=self.tasks[at].is_service)
        for flow in spec.flows:
            if flow.items_from and all(at in again for at in self.tasks if at[0] == flow.name):
                self.counts.pop(flow.name, None)  # none of its tasks stays, so it reads its list anew
        self.follow(spec)
        return again & set(self.tasks)

    def is_uncounted(self, name: str) -> bool:
        """Whether the flow gets its tasks from a list, and status does not record yet how many."""
        return name not in self.counts and any(flow.name == name and flow.items_from for flow in self.spec.flows)

    def number_of(self, name: str) -> int | None:
        """How many tasks a list has given a flow by now; None if that is not known."""
        return self.counts.get(name, self.pending.get(name))

    def run_on(self) -> None:
        """The restart begins."""
        self.decided = self.decided_by = ""
        self.phase = "Running"

    def _drop_other_tasks(self, spec: WorkflowSpec) -> None:
        """A flow that got or lost `for` has other tasks, and so has one that had no replicas.

        One that got a list keeps the task of index 0 if that has had no end that a task without a job cannot have.
        """
        before = {flow.name: flow for flow in self.spec.flows}
        for flow in spec.flows:
            old = before.get(flow.name)
            if old is None:
                continue
            had_none = not old.replicas or (bool(old.items_from) and self.counts.get(flow.name) == 0)
            is_other = (old.for_ is None) != (flow.for_ is None)
            if flow.items_from and not old.items_from:
                is_other = is_other or self.tasks[flow.name, 0].state not in ("Waiting", "Skipped", "Failed")
            elif not flow.items_from:
                self.counts.pop(flow.name, None)
                is_other = is_other or had_none or not flow.replicas
            for at in [at for at in self.tasks if at[0] == flow.name and is_other]:
                del self.tasks[at]

    def downstream(self, names: Iterable[str]) -> set[str]:
        """These flows and all that depend on them, directly or not."""
        found = set(names)

        def more() -> bool:
            new = {
                flow.name
                for flow in self.spec.flows
                if flow.name not in found and any(asked in found for asked, _ in self._mentions(flow))
            }
            found.update(new)
            return bool(new)

        self._repeat(more)
        return found

    def _mentions(self, flow: Flow) -> Iterator[tuple[str, str]]:
        yield from mentions(flow)
        for name in self.peers.get(flow.name, ()):
            yield name, "podIP"

    # What survives

    def acknowledge(self) -> None:
        """The API server has acknowledged a status of the present state."""
        self.counts |= self.pending
        self.follow(self.spec)
        for (name, _), task in self.tasks.items():
            if name in self.pending:  # what was True for the flow before its tasks were counted is True for all of them
                task.latches = set(self.tasks[name, 0].latches)
        self.pending.clear()
        self._saved = (_copies(self.tasks), self.decided, self.decided_by, dict(self.counts))

    def lose_memory(self, now: float) -> None:
        """The controller died: only the last status is left (and the jobs, which the next pass sees)."""
        assert self._saved is not None
        tasks, self.decided, self.decided_by, counts = self._saved
        self.tasks, self.counts = _copies(tasks), dict(counts)
        self.pending.clear()
        indexed = {flow.name for flow in self.spec.flows if flow.for_ is not None}
        for (name, _), task in self.tasks.items():
            # The only time of an attempt that status records, and of a single replica only. Else its clock restarts.
            ready_at = None if task.ready_at is None else seconds(timestamp(task.ready_at))  # to the microsecond
            task.ran_at = now if ready_at is not None and name in indexed else ready_at
            task.is_unseen = task.state == "Succeeded" and task.is_service
            if task.state == "Waiting":
                task.released = False

    # One pass

    def step(self, seen: Observation) -> None:
        self.follow(seen.spec)
        was_ending = self._rest(seen) != "Continue"
        was_decided = bool(self.decided)
        for flow, at, task in self._all():
            jobs, gone = seen.jobs.get(at, ()), seen.gone.get(at, ())
            self._observe(seen, flow, task, jobs, gone, was_ending)
            claim = seen.claims.get(at)
            if claim is not None and claim.reason == GONE and not task.is_final:
                task.state, task.attempt, task.ran, task.had_job = "Succeeded", claim.attempt, True, True
            if claim is not None and flow.name in seen.hidden and flow.approval is None:
                assert claim.reason not in EARLY[1:], f"{at} timed out while its jobs may not all be shown"
            if claim is not None and claim.reason in EARLY and (was_decided or not self._is_leaving(seen, at, claim)):
                # Of a flow whose jobs may not all be shown, only what the end of a held workflow needs is judged.
                is_ended = seen.is_held and self.spec.shutdown is not None and flow.name in seen.hidden
                self._claim(seen, flow, task, claim, was_ending or is_ended)
        if not seen.is_held:
            self._repeat(lambda: self._judge_dependencies(seen, self._rest(seen) != "Continue"))
        if not self.decided and (not seen.is_held or self.spec.shutdown is not None):
            self._decide(seen)
        if seen.is_held and self._rest(seen) != "Continue":  # failures that were not judged before
            for flow, at, task in self._all():
                self._observe(seen, flow, task, seen.jobs.get(at, ()), seen.gone.get(at, ()), True)
        for flow, at, task in self._all():
            claim = seen.claims.get(at)
            if claim is not None and not was_decided and self._is_leaving(seen, at, claim):
                assert self.decided, f"{at} is judged {claim.reason} while its job is still being deleted"
                self._claim(seen, flow, task, claim, self._rest(seen) != "Continue")
        if self._rest(seen) != "Continue":
            self._end_rest(seen)
        if seen.is_held:
            late = [claim for claim in seen.claims.values() if claim.reason not in ("JobDeleted", GONE)]
            assert not late, "a held attempt timed out"
            self._set_phase(seen)
            return
        # The end of the others may release or skip the finally flows, and these may decide the outcome.
        self._repeat(lambda: self._judge_dependencies(seen, self._rest(seen) != "Continue"))
        if not self.decided:
            self._decide(seen)
            if self._rest(seen) != "Continue":
                self._end_rest(seen)
        for flow, at, task in self._all():
            claim = seen.claims.get(at)
            if claim is not None and claim.reason in LATE:
                task.attempt = claim.attempt
                self._fail(seen, flow, task, claim.reason, may_retry=False)
        self._set_phase(seen)

    def _all(self) -> Iterator[tuple[Flow, At, RefTask]]:
        by_name = {flow.name: flow for flow in self.spec.flows}
        for at, task in self.tasks.items():
            yield by_name[at[0]], at, task

    def _flow(self, name: str) -> Flow:
        return next(flow for flow in self.spec.flows if flow.name == name)

    def _replicas(self, name: str) -> list[RefTask]:
        return [task for at, task in self.tasks.items() if at[0] == name]

    @staticmethod
    def _repeat(once: Callable[[], bool]) -> None:
        while once():
            pass

    # Jobs

    def _observe(
        self,
        seen: Observation,
        flow: Flow,
        task: RefTask,
        jobs: tuple[JobSeen, ...],
        gone: tuple[JobSeen, ...],
        was_ending: bool,
    ) -> None:
        if task.is_final:
            current = [job for job in jobs if job.attempt == task.attempt]
            has_job = bool(current)
            task.is_unseen = task.is_unseen and not has_job
            is_known = flow.name not in seen.hidden
            if flow.template in APPLYING:  # such an object is read when somebody needs it
                is_known = has_job or any(job.attempt == task.attempt for job in gone)
            if is_known:
                was_up = task.service_is_up or any(job.action for job in current)  # whoever applied it again
                task.service_is_up = was_up and any(not job.action or job.says != "Failed" for job in current)
            return
        first = self.firsts.get(flow.name, 0)
        newest = max((job.attempt for job in (*jobs, *gone) if job.attempt >= first), default=-1)
        if newest > task.attempt or (newest == task.attempt and task.state == "Waiting"):
            task.state, task.attempt, task.reason = "Pending", newest, ""
            task.had_job = task.released = True
            task.ran_at = task.due = None
        if task.state == "Backoff":
            return
        current = [job for job in jobs if job.attempt == task.attempt >= first]
        if flow.template in DELETING:
            if current:
                task.state, task.ran = "Running", True
                task.ran_at = seen.now if task.ran_at is None else task.ran_at
            elif task.state in UNFINISHED and any(job.attempt == task.attempt for job in gone):
                task.state, task.ran = "Succeeded", True
            return
        # A job under deletion counts as deleted, whatever it says: these jobs do not say when they ended.
        alive = [job for job in current if not job.is_deleting]
        # A service that was ready has not ended: where it is gone before a pass saw that, it counts as deleted.
        ends = ("Failed",) if task.is_service else ("Succeeded", "Failed")
        ended = [
            job for job in gone if job.attempt == task.attempt >= first and job.says in ends and not job.is_deleting
        ]
        if current:
            if alive:
                self._take(seen, flow, task, alive[0], was_ending)
        elif ended and task.state in UNFINISHED:
            self._take(seen, flow, task, ended[0], was_ending)

    def _take(self, seen: Observation, flow: Flow, task: RefTask, job: JobSeen, was_ending: bool) -> None:
        says = job.says
        if says in ("Running", "Succeeded"):
            task.ran = True
            task.ran_at = seen.now if task.ran_at is None else task.ran_at
        if says == "Failed" and seen.is_deferred and not was_ending:
            return
        if says == "Failed":
            task.reported = True
            self._fail(seen, flow, task, "Failed", may_retry=self._may_retry(seen, flow, was_ending))
            return
        if says == "Succeeded" and seen.is_deferred and flow.outputs and not was_ending:
            task.state = "Running"  # which outputs there are is not known before the edit is taken back
            return
        if says == "Succeeded" and not seen.is_deferred and _misses(flow, job):
            self._fail(seen, flow, task, "OutputMissing", may_retry=self._may_retry(seen, flow, was_ending))
            return
        if says == "Succeeded" and not seen.is_deferred:  # a controller that does not know the spec reads no output
            task.list = job.list
        task.state = says
        task.ready_at = seen.now if says == "Succeeded" and task.is_service else None
        task.service_is_up = says == "Succeeded" and task.is_service

    def _may_retry(self, seen: Observation, flow: Flow, was_ending: bool) -> bool:
        if flow.finally_ and not seen.is_held:
            return self.spec.shutdown != "Terminate"
        return not was_ending

    def _claim(self, seen: Observation, flow: Flow, task: RefTask, claim: Claim, was_ending: bool) -> None:
        task.attempt = claim.attempt
        self._fail(seen, flow, task, claim.reason, may_retry=self._may_retry(seen, flow, was_ending))

    @staticmethod
    def _is_leaving(seen: Observation, at: At, claim: Claim) -> bool:
        """Whether the claim is about a deleted job that still exists, with a deletionTimestamp."""
        of_attempt = [job for job in seen.jobs.get(at, ()) if job.attempt == claim.attempt]
        return claim.reason == "JobDeleted" and bool(of_attempt)

    def _fail(self, seen: Observation, flow: Flow, task: RefTask, reason: str, *, may_retry: bool) -> None:
        rule = flow.retry or Retry()
        task.reason = reason
        tries = task.attempt - self.firsts.get(flow.name, 0)
        if may_retry and reason in rule.reasons and tries < rule.max_retries:
            wait = durations.parse(rule.interval)
            for _ in range(tries):
                wait *= float(rule.factor)
            task.state, task.due = "Backoff", seen.now + min(wait, durations.parse(rule.max_interval))
        else:
            task.state, task.due = "Failed", None

    # Dependencies

    def _judge_dependencies(self, seen: Observation, is_ending: bool) -> bool:
        changed = False
        others_are_over = all(task.is_final for flow, _, task in self._all() if not flow.finally_)
        for flow, (_, index), task in self._all():
            is_asked = flow.approval is not None and task.released
            if task.state != "Waiting" or (task.released and flow.name not in self.peers and not is_asked):
                continue  # True latches, but for a pod address, which may be gone before the job is made
            if flow.finally_ and (not others_are_over or seen.waits_for_end):
                continue
            if not flow.finally_ and is_ending:
                continue
            if flow.finally_ and self.spec.shutdown == "Terminate":
                continue
            if is_asked:
                changed = self._ask(seen, flow, index, task) or changed
                continue
            answers = []
            if flow.depends_on is not None:
                answers.append(self._depends(seen, flow, index, flow.depends_on, "dependsOn"))
            if flow.for_ is not None and flow.for_.depends_on is not None:
                answers.append(self._depends(seen, flow, index, flow.for_.depends_on, "for.dependsOn"))
            answers += [self._pod_ip(seen, name, index) for name in self.peers.get(flow.name, ())]
            if flow.items_from:
                answers.append(self._has_list(flow))
            answers += [self._output(name, pick, index) for name, pick in outputs_used(flow)]
            answers += [_and(_phase(task, "Finished") for task in self._replicas(name)) for name in asked_in(flow)]
            answer = _and(answers)
            if answer == TRUE and self.is_uncounted(flow.name):
                changed = self._count(flow, task) or changed
            elif answer == TRUE and not task.released and not self._holds(flow, index):
                if flow.name not in seen.hidden:
                    task.state, changed = "Skipped", True
            elif answer == TRUE:
                changed = changed or not task.released
                task.released = True
                if flow.approval is not None:
                    self._ask(seen, flow, index, task)
            elif answer == UNKNOWN:
                task.released = False
            elif flow.name in seen.hidden:
                continue
            elif answer == TIMED_OUT:
                task.state, task.reason, changed = "Failed", "ProbeTimeout", True
            elif answer == IMPOSSIBLE:
                task.state, changed = "Skipped", True
        return changed

    @staticmethod
    def _ask(seen: Observation, flow: Flow, index: int, task: RefTask) -> bool:
        """Whether a person has decided: the first entry about the task counts."""
        for entry in seen.spec.approvals:
            if entry.flow == flow.name and entry.index in (None, index):
                task.state = "Succeeded" if entry.decision == "Approve" else "Failed"
                task.reason = "" if entry.decision == "Approve" else "Rejected"
                return True
        return False

    def _has_list(self, flow: Flow) -> str:
        """Whether the list that a flow needs was handed out: of all tasks together once all are final."""
        name, is_of_all = self._source(flow)
        tasks = self._replicas(name) if is_of_all else [self.tasks[name, 0]]
        if not all(task.is_final for task in tasks):
            return UNKNOWN
        return TRUE if any(task.list for task in tasks) else IMPOSSIBLE

    def _source(self, flow: Flow) -> tuple[str, bool]:
        """The flow that hands the list out, and whether that is the list of the values of all its tasks."""
        name = flow.items_from.removeprefix("{{flows.").partition(".")[0]
        return name, self._flow(name).for_ is not None and "[" not in flow.items_from

    def _count(self, flow: Flow, task: RefTask) -> bool:
        """Reads the list of a flow that can start; whether the flow ends by it."""
        if flow.name in self.pending:
            return False
        name, is_of_all = self._source(flow)
        listed = self._replicas(name) if is_of_all else json.loads(self.tasks[name, 0].list)
        if not isinstance(listed, list):
            task.state, task.reason = "Failed", "RenderError"
            return True
        self.pending[flow.name] = len(listed)
        task.state = task.state if listed else "Skipped"
        return not listed

    def _depends(self, seen: Observation, flow: Flow, index: int, on: DependsOn, path: str) -> str:
        groups = []
        if on.targets or (on.probe is not None and not on.probe.is_empty):
            top = Group(targets=on.targets, strategy=on.strategy, probe=on.probe)
            groups.append(self._group(seen, flow, index, top, on, path))
        for number, group in enumerate(on.or_groups):
            groups.append(self._group(seen, flow, index, group, on, f"{path}.orGroups[{number}]"))
        return _or(groups) if groups else TRUE

    def _group(self, seen: Observation, flow: Flow, index: int, group: Group, on: DependsOn, path: str) -> str:
        answers = []

        def status(name: str, ask: Callable[[RefTask], str], strategy: str) -> None:
            if name == flow.name:  # the previous index
                answers.append(TRUE if index == 0 else ask(self.tasks[name, index - 1]))
            else:
                answers.append(_over([ask(task) for task in self._replicas(name)], strategy))

        for name in group.targets:
            tolerant = self._flow(name).continue_on_fail
            status(name, lambda task, t=tolerant: _target(task, t, on.on_skipped == "Ignore"), group.strategy or "All")  # type: ignore[misc]
        if group.probe is None:
            return _and(answers)
        for item in group.probe.task_status_list:
            phase = _MEANT.get(item.phase, str(item.phase))
            strategy = group.strategy or ("Any" if phase == "Failed" else "All")
            status(item.task_name, lambda task, p=phase: _phase(task, p), strategy)  # type: ignore[misc]
        waiting = self.tasks[flow.name, index]
        fail_after = None if group.probe.fail_after is None else durations.parse(group.probe.fail_after)
        probe = group.probe
        named = [(f"{path}.probe.httpGetList[{at}]", http.task_name) for at, http in enumerate(probe.http_get_list)]
        named += [(f"{path}.probe.tcpSocketList[{at}]", tcp.task_name) for at, tcp in enumerate(probe.tcp_socket_list)]
        for where, name in named:
            replicas = [
                self._probe(seen, flow, waiting, where, name, replica, task, fail_after)
                for replica, task in enumerate(self._replicas(name))
            ]
            if name == flow.name:
                answers.append(TRUE if index == 0 else replicas[index - 1])
                continue
            answers.append(_over(replicas, group.strategy or "All"))
        return _and(answers)

    def _probe(
        self,
        seen: Observation,
        flow: Flow,
        waiting: RefTask,
        path: str,
        asked: str,
        replica: int,
        task: RefTask,
        limit: float | None,
    ) -> str:
        if (flow.name, path, replica) in seen.passed:
            waiting.latches.add((path, replica))
        if (path, replica) in waiting.latches:
            return TRUE
        if task.state == "Backoff":
            return UNKNOWN
        is_up = task.is_service and task.service_is_up
        if task.state == "Succeeded" and not is_up and asked in seen.hidden:
            return UNKNOWN  # it may be a service whose job the caches do not show yet
        if task.is_final and not (task.state == "Succeeded" and is_up):
            return TIMED_OUT if task.state == "Succeeded" else IMPOSSIBLE
        # The time is up late, never early: a service counts once the controller can see its pods.
        ran_at = None if task.is_unseen else task.ran_at
        if limit is not None and ran_at is not None and seen.now >= ran_at + limit:
            return TIMED_OUT
        return UNKNOWN

    def _pod_ip(self, seen: Observation, name: str, index: int) -> str:
        """Of the same index, else of 0."""
        at = (name, index if (name, index) in self.tasks else 0)
        task = self.tasks[at]
        if at in seen.pod_ips:
            return TRUE
        if not task.is_final or (task.state == "Succeeded" and (task.service_is_up or name in seen.hidden)):
            return UNKNOWN
        return IMPOSSIBLE

    def _output(self, name: str, pick: str, index: int) -> str:
        """A task that succeeded has the output, with or without the default."""
        if pick or self._flow(name).for_ is None:
            task = self.tasks.get((name, index if pick == "index" else 0))
            if task is not None:
                return _target(task, False, False)
            is_open = self.is_uncounted(name) and not all(one.is_final for one in self._replicas(name))
            return UNKNOWN if is_open else IMPOSSIBLE
        tasks = self._replicas(name)
        if not all(task.is_final for task in tasks):
            return UNKNOWN
        return TRUE if any(task.state == "Succeeded" for task in tasks) else IMPOSSIBLE

    def _holds(self, flow: Flow, index: int) -> bool:
        """Whether the condition of a flow is true, of those that scenarios have."""
        if flow.when == "index % 2 == 0":
            return index % 2 == 0
        if flow.when.endswith(".failed == 0"):
            (name,) = asked_in(flow)
            return not any(task.state == "Failed" for task in self._replicas(name))
        return flow.when != "index < 0"

    # Outcome

    def flow_state(self, name: str) -> str:
        states = [task.state for task in self._replicas(name)]
        order = ("Failed", "Cancelled", "Succeeded", "Skipped")
        if any(state not in FINAL for state in states):
            order = ("Running", "Pending", "Suspended", "Backoff")
            found = next((state for state in order if state in states), None)
            return found or ("Running" if any(state in FINAL for state in states) else "Waiting")
        return next(state for state in order if state in states)

    def _is_over(self, name: str) -> bool:
        return all(task.is_final for task in self._replicas(name))

    def _cannot_succeed(self, name: str) -> bool:
        """Whether not all replicas can succeed: one is Failed or Cancelled, or all are over and none succeeded."""
        states = [task.state for task in self._replicas(name)]
        return "Failed" in states or "Cancelled" in states or (self._is_over(name) and "Succeeded" not in states)

    def _waits_for_failure_of(self, name: str) -> list[str]:
        """The flows (finally ones are no recovery branch) that name phase Failed of this one."""
        return [
            flow.name
            for flow in self.spec.flows
            if not flow.finally_
            and flow.name != name
            and any(how == "Failed" and asked == name for asked, how in mentions(flow))
        ]

    def _is_recovered(self, name: str) -> bool:
        for other in self._waits_for_failure_of(name):
            if not self._is_over(other):
                continue
            state = self.flow_state(other)
            if state == "Succeeded" or (state == "Failed" and self._is_recovered(other)):
                return True
        return False

    def _leaves(self) -> list[str]:
        named = {
            asked
            for flow in self.spec.flows
            if not flow.finally_
            for asked, how in self._mentions(flow)
            if asked != flow.name and how not in ("Failed", "Skipped", "Finished")
        }
        return [flow.name for flow in self.spec.flows if not flow.finally_ and flow.name not in named]

    def _is_open(self) -> bool:
        """Whether a failure branch of a failed task has not ended: then no failure is decided."""
        return any(
            not self._is_over(other)
            for flow in self.spec.flows
            if any(task.state == "Failed" for task in self._replicas(flow.name))
            for other in self._waits_for_failure_of(flow.name)
        )

    def _decide(self, seen: Observation) -> None:
        policy = self.spec.success_policy
        has_won = has_lost = False
        if policy.type == "Any":
            leaves = self._leaves()
            has_won = any(self.flow_state(name) == "Succeeded" for name in leaves)
            has_lost = all(self._cannot_succeed(name) for name in leaves)
        elif policy.type == "Critical":
            has_won = all(self.flow_state(name) == "Succeeded" for name in policy.critical_flows)
            has_lost = any(self._cannot_succeed(name) for name in policy.critical_flows)
        else:
            bad = []
            for flow in self.spec.flows:
                states = {task.state for task in self._replicas(flow.name)}
                is_tolerated = flow.continue_on_fail or self._is_recovered(flow.name)
                if "Cancelled" in states or ("Failed" in states and not is_tolerated):
                    bad.append(flow.name)
            has_lost = bool(bad)
            has_won = not bad and all(task.is_final for task in self.tasks.values())
        # At the same moment the user's shutdown counts first, then success. The contract leaves this open.
        is_held_open = any(not self._is_over(name) for name in self.downstream(seen.asked))
        if self.spec.shutdown is not None:
            self.decided, self.decided_by = "Failed", str(self.spec.shutdown)
        elif has_won and not is_held_open:
            self.decided, self.decided_by = "Succeeded", "policy"
        elif seen.is_overdue:
            self.decided, self.decided_by = "Failed", "timeout"
        elif is_held_open:
            return
        elif has_lost and not self._is_open():
            self.decided, self.decided_by = "Failed", "policy"

    def _rest(self, seen: Observation) -> str:
        """Continue, Drain or Cancel."""
        if not self.decided:
            return "Continue"
        is_timed_out = not seen.is_held and (seen.is_overdue or self.decided_by == "timeout")
        if self.spec.shutdown == "Terminate" or is_timed_out or self.decided_by == "Terminate":
            return "Cancel"
        if self.decided_by == "Stop":
            return "Drain"
        if seen.is_held:
            return "Drain" if self.spec.shutdown == "Stop" else "Continue"
        policy = self.spec.success_policy
        default = "Continue" if policy.type == "Critical" and self.decided == "Succeeded" else "Drain"
        how = str(policy.remaining or default)
        return "Drain" if self.spec.shutdown == "Stop" and how == "Continue" else how

    def _end_rest(self, seen: Observation) -> None:
        how = self._rest(seen)
        for flow, _, task in self._all():
            if flow.name in seen.hidden:
                continue
            if flow.finally_ and self.spec.shutdown != "Terminate" and not seen.is_held:
                continue
            if task.state == "Waiting":
                task.state = "Skipped"
            elif task.state == "Backoff":
                task.state = "Failed"
            elif task.state in UNFINISHED and (how == "Cancel" or task.state == "Suspended" or task.is_service):
                task.state = "Cancelled"

    def _set_phase(self, seen: Observation) -> None:
        if self.decided and all(task.is_final for task in self.tasks.values()):
            for at, jobs in seen.jobs.items():
                task = self.tasks.get(at, RefTask())
                for job in jobs:
                    is_up = task.is_service and task.state == "Succeeded" and job.attempt == task.attempt
                    is_service_of_old = job.says == "Succeeded" and at[0] in self.services and not is_up
                    if job.action:
                        continue  # it stays as it is
                    is_over = job.says in ("Succeeded", "Failed") and not is_service_of_old
                    if not job.is_deleting and not is_up and not is_over:
                        self.phase = "Terminating"
                        return
            self.phase = self.decided
        else:
            self.phase = "Running"


def _misses(flow: Flow, job: JobSeen) -> bool:
    """Whether an output without default is not in the job."""
    there = {"x": job.gives, "list": bool(job.list)}
    return any(output.default is None and not there[output.name] for output in flow.outputs)


def _copies(tasks: Mapping[At, RefTask]) -> dict[At, RefTask]:
    return {at: replace(task, latches=set(task.latches)) for at, task in tasks.items()}


def _and(answers: Iterable[str]) -> str:
    found = list(answers)
    for answer in (TIMED_OUT, IMPOSSIBLE, UNKNOWN):
        if answer in found:
            return answer
    return TRUE


def _or(answers: Iterable[str]) -> str:
    found = list(answers)
    if TRUE in found:
        return TRUE
    if UNKNOWN in found:
        return UNKNOWN
    return TIMED_OUT if TIMED_OUT in found else IMPOSSIBLE


def _over(answers: list[str], strategy: str) -> str:
    return _or(answers) if strategy == "Any" else _and(answers)


def _target(task: RefTask, failure_counts: bool, skip_counts: bool) -> str:
    if not task.is_final:
        return UNKNOWN
    is_done = (
        task.state == "Succeeded"
        or (task.state == "Failed" and failure_counts)
        or (task.state == "Skipped" and skip_counts)
    )
    return TRUE if is_done else IMPOSSIBLE


def _phase(task: RefTask, phase: str) -> str:
    is_true = {
        "Running": task.ran or task.state == "Succeeded" or task.reported,
        "Completed": task.state == "Succeeded",
        "Failed": task.state == "Failed",
        "Skipped": task.state == "Skipped",
        "Finished": task.is_final,
        "Pending": task.had_job,
    }[phase]
    if is_true:
        return TRUE
    return IMPOSSIBLE if task.is_final else UNKNOWN


def mentions(flow: Flow) -> Iterator[tuple[str, str]]:
    """Every flow that this one names, and how: target, probe, output, or the phase that is asked for."""
    if flow.items_from:
        yield flow.items_from.removeprefix("{{flows.").partition(".")[0], "output"
    parts = [flow.depends_on, flow.for_.depends_on if flow.for_ is not None else None]
    for on in parts:
        if on is None:
            continue
        parts_of: tuple[DependsOn | Group, ...] = (on, *on.or_groups)
        for part in parts_of:
            for name in part.targets:
                yield name, "target"
            if part.probe is not None:
                for http in part.probe.http_get_list:
                    yield http.task_name, "probe"
                for tcp in part.probe.tcp_socket_list:
                    yield tcp.task_name, "probe"
                for status in part.probe.task_status_list:
                    yield status.task_name, _MEANT.get(status.phase, str(status.phase))
    for name, _ in outputs_used(flow):
        yield name, "output"
    for name in asked_in(flow):
        yield name, "Finished"


def outputs_used(flow: Flow) -> list[tuple[str, str]]:
    """The flows whose output x a flow uses, in its patch or its condition, each with the index that is picked."""
    texts = (bytes(flow.raw_patch).decode(), flow.when)
    found = re.findall(r"flows[.](\w+)[.]outputs[.]x(?:\[(\w+)\])?", texts[0])
    return found + [(name, "") for name in re.findall(r"outputs[.](\w+)[.]x", texts[1])]


def asked_in(flow: Flow) -> list[str]:
    """The flows whose end the condition of a flow asks for."""
    return re.findall(r"flows[.](\w+)[.]failed", flow.when)
