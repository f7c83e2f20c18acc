"""HTTP and TCP probes, on one event loop in a thread of its own: workers never wait for an answer.

The prober repeats the probes that the last plan asked for; when one passes, the workflow is requeued at once. Only
addresses of the task's own pods are contacted. Requests that ask the same of the same pods share the answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import structlog

from pkg.apis.flow.v1alpha1.types import HTTPGet, TCPSocket
from pkg.controllers.workflow.planner.actions import ProbeRequest
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import ProbeAnswer, ProbeKey, TaskKey
from pkg.controllers.workflow.pod_finder import ChangedPods
from pkg.controllers.workflow.probe_calls import connect, get, why
from pkg.controllers.workflow.probe_poll import Answer, Poll, Question

_log = structlog.get_logger("workflow.prober")
# Limits of tries in flight, of all workflows and of one, so that a thousand dead ports do not use up the sockets. A
# namespace has at most half. Addresses that timed out when they were last tried have their own slots, so they do not
# delay others.
PROMPT, PROMPT_SHARE = 256, 64
SILENT, SILENT_SHARE = 128, 32
# A probe that fails is reported after so many tries, and after ten times as many again and again: not at every try.
REPORTED_AFTER = (3, 10, 100, 1_000, 10_000, 100_000)
# Seconds between two reports of one probe whose answers differ.
REPORT_SECONDS = 60.0

_NO_ANSWERS: Final[Mapping[ProbeKey, ProbeAnswer]] = MappingProxyType({})
Addresses = Callable[[WorkflowId, ProbeRequest], tuple[str, ...]]


@dataclass(slots=True)
class _Poller:
    """A poll and the task that repeats it. wake: set when its pods or its requests changed."""

    poll: Poll = field(default_factory=Poll)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    #: The answer that was reported last, and when.
    reported: ProbeAnswer | None = None
    reported_at: float = 0.0


@dataclass(slots=True)
class _Slots:
    """Semaphores for tries in flight: `prompt` for addresses that answered the last time, or were not tried yet."""

    prompt: asyncio.Semaphore
    silent: asyncio.Semaphore


@dataclass(slots=True)
class _WorkflowProbes:
    """The probes of one workflow. by_task: its pollers, by the task whose pods they ask; answers: those that were
    reported, of requests that have not passed.
    """

    pollers: dict[Question, _Poller] = field(default_factory=dict)
    by_task: dict[TaskKey, set[Question]] = field(default_factory=dict)
    passed: dict[ProbeKey, ProbeRequest] = field(default_factory=dict)
    answers: dict[ProbeRequest, ProbeAnswer] = field(default_factory=dict)
    slots: _Slots = field(default_factory=lambda: _slots(PROMPT_SHARE, SILENT_SHARE))


def _slots(prompt: int, silent: int) -> _Slots:
    return _Slots(asyncio.Semaphore(prompt), asyncio.Semaphore(silent))


class Prober:
    """addresses(workflow, request): the pod addresses to probe; pod_name(workflow, address): the pod that has it, or
    empty; requeue(key) is called when a probe passes or is reported to fail; count(kind, result) once per try;
    wall_clock in seconds since the epoch.
    """

    def __init__(
        self,
        addresses: Addresses,
        requeue: Callable[[str], None],
        count: Callable[[str, str], None],
        pod_name: Callable[[WorkflowId, str], str] = lambda workflow, address: "",
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._addresses = addresses
        self._requeue = requeue
        self._count = count
        self._pod_name = pod_name
        self._clock = wall_clock
        self._answers: dict[WorkflowId, Mapping[ProbeKey, ProbeAnswer]] = {}  # as `_passed`
        self._loop = asyncio.new_event_loop()
        self._slots = _slots(PROMPT, SILENT)
        self._by_namespace: dict[str, _Slots] = {}
        self._workflows: dict[WorkflowId, _WorkflowProbes] = {}
        self._passed: dict[WorkflowId, frozenset[ProbeKey]] = {}  # built on demand from `_workflows`
        self._lock = threading.Lock()  # guards `_passed` and `_answers`, and what they are built from
        self._wanted: dict[WorkflowId, frozenset[ProbeRequest]] = {}
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)

    @property
    def thread(self) -> threading.Thread:
        """The thread of the event loop, for a health check."""
        return self._thread

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._call(self._loop.stop)

    def passed(self, workflow: WorkflowId) -> frozenset[ProbeKey]:
        """The probes of a workflow that pass."""
        found = self._passed.get(workflow)
        if found is None:
            with self._lock:
                probed = self._workflows.get(workflow)
                if probed is None:
                    return frozenset()
                found = self._passed[workflow] = frozenset(probed.passed)
        return found

    def answers(self, workflow: WorkflowId) -> Mapping[ProbeKey, ProbeAnswer]:
        """The last reported answers of probes of a workflow that fail. For any thread."""
        found = self._answers.get(workflow)
        if found is None:
            with self._lock:
                probed = self._workflows.get(workflow)
                if probed is None:
                    return _NO_ANSWERS
                found = self._answers[workflow] = {request.key: answer for request, answer in probed.answers.items()}
        return found

    def want(self, workflow: WorkflowId, requests: Iterable[ProbeRequest]) -> None:
        """Replaces the probes of a workflow; those that stay the same go on without a restart."""
        wanted = frozenset(requests)
        if self._wanted.get(workflow, frozenset()) == wanted:
            return
        if wanted:
            self._wanted[workflow] = wanted
        else:
            self._wanted.pop(workflow, None)
        self._call(self._replace, workflow, wanted)

    def pods_changed(self, changes: ChangedPods) -> None:
        """Pods of these tasks, by workflow, were added, changed or deleted. For any thread."""
        found = {workflow: tasks for workflow, tasks in changes.items() if workflow in self._wanted}
        if found:
            self._call(self._signal_changed, found)

    def _call(self, act: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: no probe runs any more
            self._loop.call_soon_threadsafe(act, *args)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.close()

    def _signal_changed(self, changes: ChangedPods) -> None:
        for workflow, tasks in changes.items():
            if (probed := self._workflows.get(workflow)) is None:
                continue
            for task in tasks:
                for question in probed.by_task.get(task, ()):
                    probed.pollers[question].wake.set()

    def _replace(self, workflow: WorkflowId, wanted: frozenset[ProbeRequest]) -> None:
        probed = self._workflows.get(workflow)
        if probed is None:
            probed = self._workflows[workflow] = _WorkflowProbes()
        for question, poller in list(probed.pollers.items()):
            for request in [request for request in poller.poll.requests if request not in wanted]:
                del poller.poll.requests[request]
            self._drop_idle(probed, question)
        taken_back = {request.key for request in probed.answers if request not in wanted}
        with self._lock:
            # What was found for an earlier attempt does not count for this one.
            probed.answers = {request: answer for request, answer in probed.answers.items() if request in wanted}
            self._answers.pop(workflow, None)
            probed.passed = {at: request for at, request in probed.passed.items() if request in wanted}
            self._passed.pop(workflow, None)
        now = self._loop.time()
        added = [request for request in wanted if request.key not in probed.passed]
        told = [request for request in added if self._add(workflow, probed, request, now)]
        if told or any(request.key in taken_back for request in wanted):
            self._requeue(workflow.key)  # the plan that wants these has read other answers
        if not wanted:
            self._forget(workflow)

    def _add(self, workflow: WorkflowId, probed: _WorkflowProbes, request: ProbeRequest, now: float) -> bool:
        """Adds a request to the poll of its question; returns whether that has an answer to report already."""
        question = Question.of(request)
        poller = probed.pollers.get(question)
        if poller is None:
            poller = probed.pollers[question] = _Poller()
            probed.by_task.setdefault(question.asked, set()).add(question)
            poller.task = self._loop.create_task(self._repeat(workflow, probed, question, poller))
        if request in poller.poll.requests:
            return False
        if poller.poll.add(request, now):
            self._pass(workflow, probed, poller, [request])
            self._drop_idle(probed, question)
            return False
        poller.wake.set()  # its period may be shorter
        if poller.reported is None:
            return False
        with self._lock:
            probed.answers[request] = poller.reported
            self._answers.pop(workflow, None)
        return True

    def _forget(self, workflow: WorkflowId) -> None:
        with self._lock:
            del self._workflows[workflow]
            self._passed.pop(workflow, None)
            self._answers.pop(workflow, None)
        if not any(other.namespace == workflow.namespace for other in self._workflows):
            self._by_namespace.pop(workflow.namespace, None)

    def _drop_idle(self, probed: _WorkflowProbes, question: Question) -> None:
        """Ends the poller of a question without requests."""
        poller = probed.pollers[question]
        if poller.poll.requests:
            return
        del probed.pollers[question]
        probed.by_task[question.asked].discard(question)
        if not probed.by_task[question.asked]:
            del probed.by_task[question.asked]
        if poller.task is not None and poller.task is not asyncio.current_task(self._loop):
            poller.task.cancel()

    async def _repeat(self, workflow: WorkflowId, probed: _WorkflowProbes, question: Question, poller: _Poller) -> None:
        """Polls until no request is left: new addresses at once, others once per period."""
        poll = poller.poll
        while poll.requests:
            poll.look_at(self._find(workflow, next(iter(poll.requests))))
            now = self._loop.time()
            due = poll.due_at(now)
            if poll.addresses and due <= now:
                timeout, addresses = poll.timeout, poll.addresses
                tries = (self._try(workflow, probed, question, one, timeout, poll.is_silent) for one in addresses)
                answers = await asyncio.gather(*tries)
                self._pass(workflow, probed, poller, poll.take(answers, self._loop.time(), timeout))
                self._report(workflow, probed, poller)
                continue
            if not poll.addresses:
                self._report(workflow, probed, poller)
            poller.wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(due - now if poll.addresses else poll.period):
                    await poller.wake.wait()
        self._drop_idle_of(probed, question, poller)

    def _drop_idle_of(self, probed: _WorkflowProbes, question: Question, poller: _Poller) -> None:
        if probed.pollers.get(question) is poller:
            self._drop_idle(probed, question)

    def _pass(
        self, workflow: WorkflowId, probed: _WorkflowProbes, poller: _Poller, requests: Iterable[ProbeRequest]
    ) -> None:
        """Records requests that pass; they are not asked any more."""
        is_any = False
        for request in requests:
            is_any = True
            del poller.poll.requests[request]
            with self._lock:
                probed.passed[request.key] = request
                probed.answers.pop(request, None)
                self._passed.pop(workflow, None)
                self._answers.pop(workflow, None)
            key = request.key
            _log.info("probe passed", workflow=workflow.key, flow=key.flow, asked=request.asked.flow, probe=key.path)
        if is_any:
            self._requeue(workflow.key)

    def _report(self, workflow: WorkflowId, probed: _WorkflowProbes, poller: _Poller) -> None:
        """Hands out how a poll fails, if that is news: seldom, because each report may become a write of status."""
        failing, reported, now = poller.poll.failing, poller.reported, self._loop.time()
        if failing is None:
            news = None
        else:
            step = max((tries for tries in REPORTED_AFTER if tries <= failing.polls), default=0)
            if not step:
                return
            pod = self._pod_name(workflow, failing.address)
            news = ProbeAnswer(failing.why, pod, failing.address, step, self._clock() - (now - failing.since))
            if reported is not None and reported.tries == step:
                is_same = (reported.why, reported.address) == (news.why, news.address)
                if is_same or now - poller.reported_at < REPORT_SECONDS:
                    return
        if news is None and reported is None:
            return
        poller.reported, poller.reported_at = news, now
        with self._lock:
            for request in poller.poll.requests:
                probed.answers.pop(request, None)
                if news is not None:
                    probed.answers[request] = news
            self._answers.pop(workflow, None)
        if poller.poll.requests:
            self._requeue(workflow.key)

    def _find(self, workflow: WorkflowId, request: ProbeRequest) -> tuple[str, ...]:
        try:
            return self._addresses(workflow, request)
        except Exception:
            _log.exception("finding the pods to probe failed unexpectedly, will be retried", flow=request.asked.flow)
            return ()

    async def _try(
        self,
        workflow: WorkflowId,
        probed: _WorkflowProbes,
        question: Question,
        address: str,
        timeout: float,
        is_silent: bool,
    ) -> Answer:
        """One try at one address. is_silent: whether the last try timed out."""
        of_namespace = self._by_namespace.get(workflow.namespace)
        if of_namespace is None:
            of_namespace = self._by_namespace[workflow.namespace] = _slots(PROMPT // 2, SILENT // 2)
        async with contextlib.AsyncExitStack() as held:
            for slots in (probed.slots, of_namespace, self._slots):
                await held.enter_async_context(slots.silent if is_silent else slots.prompt)
            began = self._loop.time()
            error = await self._call_pod(question.what, address, timeout)
            self._count("http" if isinstance(question.what, HTTPGet) else "tcp", "failed" if error else "passed")
            seconds = self._loop.time() - began
            if error is None:
                return Answer(True, seconds)
            return Answer(False, seconds, isinstance(error, TimeoutError), why(error, timeout))

    async def _call_pod(self, what: HTTPGet | TCPSocket, address: str, timeout: float) -> Exception | None:
        """Why the pod does not answer as it should; None if it does."""
        try:
            async with asyncio.timeout(timeout):
                await (get(what, address) if isinstance(what, HTTPGet) else connect(what.port, address))
        except Exception as error:
            _log.debug("probe failed", address=address, port=what.port, error=str(error) or type(error).__name__)
            return error
        return None
