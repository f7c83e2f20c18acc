"""A world in which two controllers act at the same time, each with caches of its own age.

The API server has Leases, jobs, and Workflows of one task each, and writes every change into a log. A controller reads
the changes of each resource in order, but one resource may be far behind another. It plans from what it has read, as
the planner does: a job is made for who holds its locks, a job that has ended is recorded, and then the locks are given
back. A person suspends tasks and lets them go on. Calls take time; a creation of a job arrives within `IN_FLIGHT`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.locks.calls import (
    CallAnswer,
    Failed,
    GiveBack,
    GivenBack,
    Held,
    JobsFound,
    Limits,
    LockCall,
    LookForJobs,
    Place,
    ReadLimits,
    Rewritten,
    Take,
    TakeAgain,
    Taken,
    TakenByOther,
)
from pkg.controllers.workflow.planner.locks.holders import Holder, KnownJobs, LockAnswer, LockNeeds, Want
from pkg.controllers.workflow.planner.locks.space import Space
from pkg.controllers.workflow.planner.locks.tenure import Patience
from pkg.controllers.workflow.planner.progress import TaskKey

M, N = LockName(LockKind.MUTEX, "m"), LockName(LockKind.MUTEX, "n")
S = LockName(LockKind.SEMAPHORE, "map/s")
PLACES: Final = {M: 1, N: 1, S: 2}
TASK: Final = TaskKey("f", 0)
IN_FLIGHT: Final = 3.0
MAY_CREATE: Final = 4.0
STEP: Final = 0.25
UNANSWERED: Final = Failed(LockAnswer(Reasons.CREATE_FAILED, "no answer"))


@dataclass(frozen=True)
class Flow:
    """What a Workflow with one task says. ended: the attempts whose end status records."""

    name: str
    locks: tuple[LockName, ...]
    is_suspended: bool = False
    ended: int = 0
    total: int = 1
    version: int = 0

    @property
    def key(self) -> str:
        return f"team/{self.name}"

    @property
    def holder(self) -> Holder:
        return Holder(self.key, f"uid-{self.name}", TASK.flow, TASK.index)

    @property
    def is_final(self) -> bool:
        return self.ended >= self.total


@dataclass(frozen=True)
class Job:
    """The job of one attempt."""

    name: str
    attempt: int
    is_over: bool = False

    @property
    def uid(self) -> str:
        return f"{self.name}/{self.attempt}"


@dataclass
class Server:
    """log: by resource, every change in order; None as the new state of a Lease that was deleted."""

    flows: dict[str, Flow] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    leases: dict[Place, Held] = field(default_factory=dict)
    version: int = 0
    flow_log: list[Flow] = field(default_factory=list)
    job_log: list[Job] = field(default_factory=list)
    lease_log: list[tuple[bool, Held]] = field(default_factory=list)

    def write_flow(self, flow: Flow) -> Flow:
        self.version += 1
        written = replace(flow, version=self.version)
        self.flows[flow.name] = written
        self.flow_log.append(written)
        return written

    def write_job(self, job: Job) -> None:
        self.jobs[job.uid] = job
        self.job_log.append(job)

    def carry_out(self, call: LockCall) -> CallAnswer:
        """As `LeaseCalls` and `list_jobs` do it."""
        match call:
            case ReadLimits():
                return Limits({"s": "2"})
            case LookForJobs(holder):
                name = holder.key.partition("/")[2]
                return JobsFound(frozenset(job.uid for job in self.jobs.values() if job.name == name))
            case Take(place, holder, kinds):
                known = self.leases.get(place)
                if known is not None and known.holder != holder:
                    return TakenByOther(known)
                if known is not None:
                    return Taken(self._write(known), is_shared=True)
                return Taken(self._write(Held(place, holder, f"u{self.version + 1}", 0, "", kinds)))
            case TakeAgain(held):
                known = self.leases.get(held.place)
                if known is None or known.holder != held.holder:
                    return TakenByOther(known)
                return Taken(self._write(known), is_shared=known.version != held.version)
            case GiveBack(place, holder, held):
                known = self.leases.get(place)
                if known is None or known.holder != holder:
                    return GivenBack()
                if held is None or (known.uid, known.version) != (held.uid, held.version):
                    return Rewritten(known)
                del self.leases[place]
                self.lease_log.append((False, known))
                return GivenBack()

    def _write(self, held: Held) -> Held:
        self.version += 1
        written = replace(held, version=self.version)
        self.leases[held.place] = written
        self.lease_log.append((True, written))
        return written

    def live(self, lock: LockName) -> list[str]:
        """The jobs that live under a lock."""
        return [job.uid for job in self.jobs.values() if not job.is_over and lock in self.flows[job.name].locks]


class Controller:
    """One controller. posts: creations of jobs that have not arrived: until when they must have, and the job."""

    def __init__(self, server: Server, now: float, patience: Patience) -> None:
        self.server = server
        self.patience = patience
        self.flows: dict[str, Flow] = dict(server.flows)
        self.jobs: dict[str, Job] = dict(server.jobs)
        self.read = {"flows": len(server.flow_log), "jobs": len(server.job_log), "leases": len(server.lease_log)}
        waiting = [flow.key for flow in self.flows.values() if not flow.is_final and not flow.is_suspended]
        self.space = Space(waiting, now, patience)
        self.calls: list[LockCall] = []
        self.posts: list[tuple[float, Job]] = []
        self.since: dict[str, float] = {}
        #: What plans need that have not been carried out yet.
        self.needs: dict[str, LockNeeds] = {}
        for held in list(server.leases.values()):
            self.space.seen(held, now)
        self.collect()

    def collect(self) -> None:
        self.calls += self.space.take_calls()

    def catch_up(self, resource: str, count: int, now: float) -> None:
        """Reads the next changes of one resource."""
        first = self.read[resource]
        if resource == "flows":
            for flow in self.server.flow_log[first : first + count]:
                if flow.version > self.flows[flow.name].version:
                    self.flows[flow.name] = flow
        elif resource == "jobs":
            for job in self.server.job_log[first : first + count]:
                known = self.jobs.get(job.uid)
                if known is None or not known.is_over:
                    self.jobs[job.uid] = job
        else:
            for is_there, held in self.server.lease_log[first : first + count]:
                (self.space.seen if is_there else self.space.lost)(held, now)
        logs: dict[str, Sequence[object]] = {
            "flows": self.server.flow_log,
            "jobs": self.server.job_log,
            "leases": self.server.lease_log,
        }
        self.read[resource] = min(first + count, len(logs[resource]))
        self.collect()

    def plan(self, name: str, now: float) -> None:
        """The first half of a reconcile, up to its plan; or the second half, if it was planned."""
        flow = self.flows[name]
        if (needs := self.needs.pop(name, None)) is not None:
            self.space.update(flow.key, flow.holder.uid, needs, now)
            self.collect()
            return
        view = self.space.view(flow.key, flow.holder.uid, flow.locks, now)
        jobs = [job for job in self.jobs.values() if job.name == name]
        attempt = flow.ended
        job = next((job for job in jobs if job.attempt == attempt), None)
        if job is not None and job.is_over:
            if self.server.flows[name].version != flow.version:
                return  # a conflict: status was computed from an older copy
            flow = self.flows[name] = self.server.write_flow(replace(flow, ended=attempt + 1))
            self.since.pop(name, None)
            job, attempt = None, attempt + 1
        is_posting = any(post.name == name for _, post in self.posts)
        waits = not flow.is_final and not flow.is_suspended and job is None and attempt < flow.total
        if is_posting:
            return  # its worker waits for the answer
        if waits and view.granted.get(TASK) == attempt:
            if self.space.may_create(flow.key, flow.holder.uid, TASK, attempt, now):
                self.posts.append((now + IN_FLIGHT, Job(name, attempt)))
            return
        since = self.since.setdefault(name, now) if waits else now
        wants = (Want(TASK, attempt, flow.locks, since),) if waits else ()
        keeps = view.holders if job is not None else frozenset[TaskKey]()
        newest = max((one.attempt for one in jobs), default=-1)
        known = KnownJobs(frozenset(one.uid for one in jobs), newest, flow.is_final)
        self.needs[name] = LockNeeds(wants, keeps, dict.fromkeys(view.holders - keeps, known))

    def reconcile(self, name: str, now: float) -> None:
        """What was planned before, and then a whole reconcile."""
        if name in self.needs:
            self.plan(name, now)
        self.plan(name, now)
        if name in self.needs:
            self.plan(name, now)

    def arrive(self, number: int, now: float) -> None:
        """A creation arrives. The name of a job is taken once."""
        _, job = self.posts.pop(number % len(self.posts))
        if job.uid not in self.server.jobs:
            self.server.write_job(job)
        self.jobs.setdefault(job.uid, self.server.jobs[job.uid])

    def answer(self, number: int, now: float, *, is_lost: bool = False) -> None:
        """A call for locks is carried out. is_lost: its answer is not."""
        call = self.calls.pop(number % len(self.calls))
        answer = self.server.carry_out(call)
        self.space.answered(call, UNANSWERED if is_lost else answer, now)
        self.collect()


class World:
    """patience: what each controller expects of the other; is_elected: only the newest acts."""

    def __init__(self, flows: list[Flow], *, is_elected: bool = False) -> None:
        self.server = Server()
        self.now = 100.0
        self.is_elected = is_elected
        may_create = float("inf") if is_elected else MAY_CREATE
        self.patience = Patience(may_create=may_create, in_flight=IN_FLIGHT)
        for flow in flows:
            self.server.write_flow(flow)
        self.controllers = [Controller(self.server, self.now, self.patience) for _ in range(1 if is_elected else 2)]
        self.dead: list[Controller] = []
        #: How long each act takes.
        self.pace = STEP

    def act(self, who: int, what: str, number: int) -> None:
        self.pass_time(self.pace)
        one = self.controllers[who % len(self.controllers)]
        names = sorted(self.server.flows)
        name = names[number % len(names)]
        match what:
            case "plan":
                one.plan(name, self.now)
            case "reconcile":
                one.reconcile(name, self.now)
            case "arrive" if one.posts:
                one.arrive(number, self.now)
            case "answer" | "lose the answer" if one.calls:
                one.answer(number, self.now, is_lost=what == "lose the answer")
            case "flows" | "jobs" | "leases":
                one.catch_up(what, 1 + number, self.now)
            case "tick":
                one.space.tick(self.now)
                one.collect()
            case "end":
                self.end(number)
            case "suspend":
                flow = self.server.flows[name]
                self.server.write_flow(replace(flow, is_suspended=not flow.is_suspended))
            case "wait":
                self.pass_time(1.0 + number)
            case "crash":
                self.crash(who % len(self.controllers))
            case "late" if self.dead:
                dead = self.dead[number % len(self.dead)]
                if dead.calls:
                    self.server.carry_out(dead.calls.pop(0))
        self.check()

    def pass_time(self, seconds: float) -> None:
        """Creations that would arrive too late arrive before."""
        self.now += seconds
        for one in (*self.controllers, *self.dead):
            while late := [index for index, (until, _) in enumerate(one.posts) if until <= self.now]:
                one.arrive(late[0], self.now)
                self.check()

    def end(self, number: int) -> None:
        """A job ends."""
        live = sorted((job for job in self.server.jobs.values() if not job.is_over), key=lambda job: job.uid)
        if live:
            self.server.write_job(replace(live[number % len(live)], is_over=True))

    def crash(self, who: int) -> None:
        """A controller dies, or is stopped for long; what it has sent may arrive. Another begins with fresh caches."""
        self.dead.append(self.controllers[who])
        self.controllers[who] = Controller(self.server, self.now, self.patience)

    def check(self) -> None:
        for lock, places in PLACES.items():
            live = self.server.live(lock)
            assert len(live) <= places, f"{lock} has the jobs {live}"

    def finish(self) -> None:
        """Everybody gets its turn in time, and at the end nothing is held."""
        self.pace = 0.01
        for flow in list(self.server.flows.values()):
            if flow.is_suspended:
                self.server.write_flow(replace(flow, is_suspended=False))
        for _ in range(300):
            for who in self._everybody():
                one = self.controllers[who]
                for resource in ("leases", "flows", "jobs"):
                    one.catch_up(resource, 1_000, self.now)
                for number in range(len(self.server.flows)):
                    self.act(who, "reconcile", number)
                while one.posts:
                    self.act(who, "arrive", 0)
                while one.calls:
                    self.act(who, "answer", 0)
                self.act(who, "tick", 0)
                self.act(who, "end", 0)
            self.pass_time(1.0)
            if all(flow.is_final for flow in self.server.flows.values()) and not self.server.leases:
                break
        assert [flow.name for flow in self.server.flows.values() if not flow.is_final] == []
        assert self.server.leases == {}

    def _everybody(self) -> Iterator[int]:
        yield from range(len(self.controllers))
