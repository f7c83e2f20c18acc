"""HTTP and TCP probes, on one event loop in a thread of its own: workers never wait for an answer.

The prober repeats the probes that the last plan asked for; when one passes, the workflow is requeued at once. Only
addresses of the task's own pods are contacted.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from pkg.apis.flow.v1alpha1.types import HTTPGet, PodChoice, Scheme
from pkg.controllers.workflow.planner.actions import ProbeRequest
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import ProbeKey, TaskKey
from pkg.controllers.workflow.pod_finder import ChangedPods
from pkg.kube.framing import parse_status_line

_log = structlog.get_logger("workflow.prober")
MAX_STATUS_LINE = 4096
# Limits of probes in flight, of all workflows and of one, so that a thousand dead ports do not use up the sockets.
# Addresses that timed out when they were last probed have their own slots, so they do not delay others.
PROMPT, PROMPT_SHARE = 256, 128
SILENT, SILENT_SHARE = 128, 32

Addresses = Callable[[WorkflowId, ProbeRequest], tuple[str, ...]]


@dataclass(slots=True)
class _WorkflowProbes:
    """The probes of one workflow. pods_changed: per probed task, set (and removed) when its pods change."""

    tasks: dict[ProbeRequest, asyncio.Task[None]] = field(default_factory=dict)
    passed: dict[ProbeKey, ProbeRequest] = field(default_factory=dict)
    pods_changed: dict[TaskKey, asyncio.Event] = field(default_factory=dict)
    prompt: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PROMPT_SHARE))
    silent: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SILENT_SHARE))


class Prober:
    """addresses(workflow, request): the pod addresses to probe; requeue(key) is called when a probe passes;
    count(kind, result) once per try.
    """

    def __init__(self, addresses: Addresses, requeue: Callable[[str], None], count: Callable[[str, str], None]) -> None:
        self._addresses = addresses
        self._requeue = requeue
        self._count = count
        self._loop = asyncio.new_event_loop()
        self._prompt = asyncio.Semaphore(PROMPT)
        self._silent = asyncio.Semaphore(SILENT)
        self._workflows: dict[WorkflowId, _WorkflowProbes] = {}
        self._passed: dict[WorkflowId, frozenset[ProbeKey]] = {}  # built on demand from `_workflows`
        self._lock = threading.Lock()  # guards `_passed` and what it is built from
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
                if (changed := probed.pods_changed.pop(task, None)) is not None:
                    changed.set()

    def _replace(self, workflow: WorkflowId, wanted: frozenset[ProbeRequest]) -> None:
        probed = self._workflows.get(workflow)
        if probed is None:
            probed = self._workflows[workflow] = _WorkflowProbes()
        for request in [request for request in probed.tasks if request not in wanted]:
            probed.tasks.pop(request).cancel()
        with self._lock:
            # A result for an earlier attempt does not count for this one.
            probed.passed = {at: request for at, request in probed.passed.items() if request in wanted}
            self._passed.pop(workflow, None)
            if not wanted:
                del self._workflows[workflow]
        for request in wanted:
            if request not in probed.tasks and request.key not in probed.passed:
                probed.tasks[request] = self._loop.create_task(self._probe_until_passed(workflow, probed, request))

    async def _probe_until_passed(self, workflow: WorkflowId, probed: _WorkflowProbes, request: ProbeRequest) -> None:
        """Probes until `threshold` tries in a row passed: new addresses at once, others once per period."""
        in_a_row, is_silent = 0, False
        asked: tuple[str, ...] = ()
        while True:
            addresses = self._find(workflow, request)
            if addresses != asked:  # results of other pods do not count for these
                in_a_row, asked, is_silent = 0, addresses, False
            if addresses:
                answers = await asyncio.gather(*(self._ask(probed, request, one, is_silent) for one in addresses))
                is_silent = None in answers
                is_passed = any(answers) if request.pods is PodChoice.ANY else all(answers)
                in_a_row = in_a_row + 1 if is_passed else 0
                if in_a_row >= request.threshold:
                    break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(request.period):
                    await self._addresses_changed(workflow, probed, request, asked)
        if probed.tasks.get(request) is not asyncio.current_task():
            return  # replaced meanwhile
        probed.tasks.pop(request, None)
        with self._lock:
            probed.passed[request.key] = request
            self._passed.pop(workflow, None)
        _log.info(
            "probe passed",
            workflow=workflow.key,
            flow=request.key.flow,
            asked=request.asked.flow,
            probe=request.key.path,
        )
        self._requeue(workflow.key)

    async def _addresses_changed(
        self, workflow: WorkflowId, probed: _WorkflowProbes, request: ProbeRequest, asked: tuple[str, ...]
    ) -> None:
        """Waits until the addresses to probe differ from these."""
        while True:
            changed = probed.pods_changed.setdefault(request.asked, asyncio.Event())
            if self._find(workflow, request) != asked:
                return
            await changed.wait()

    def _find(self, workflow: WorkflowId, request: ProbeRequest) -> tuple[str, ...]:
        try:
            return self._addresses(workflow, request)
        except Exception:
            _log.exception("finding the pods to probe failed unexpectedly, will be retried", flow=request.asked.flow)
            return ()

    async def _ask(self, probed: _WorkflowProbes, request: ProbeRequest, address: str, is_silent: bool) -> bool | None:
        """One try: whether it passed; None on a timeout. is_silent: whether the last try timed out."""
        what = request.what
        kind = "http" if isinstance(what, HTTPGet) else "tcp"
        answer: bool | None = False
        share, slots = (probed.silent, self._silent) if is_silent else (probed.prompt, self._prompt)
        async with share, slots:
            try:
                async with asyncio.timeout(request.timeout):
                    answer = await (_http(what, address) if isinstance(what, HTTPGet) else _tcp(what.port, address))
            except Exception as error:
                _log.debug("probe failed", address=address, port=what.port, error=str(error) or type(error).__name__)
                answer = None if isinstance(error, TimeoutError) else False
        self._count(kind, "passed" if answer else "failed")
        return answer


async def _tcp(port: int, address: str) -> bool:
    _, writer = await asyncio.open_connection(address, port)
    writer.close()
    return True


async def _http(what: HTTPGet, address: str) -> bool:
    """One GET; True for a status of 200-399. Redirects are not followed, certificates not verified."""
    context = _unverified() if what.scheme is Scheme.HTTPS else None
    reader, writer = await asyncio.open_connection(address, what.port, ssl=context, limit=MAX_STATUS_LINE)
    try:
        host = f"[{address}]" if ":" in address else address
        path = what.path if what.path.startswith("/") else f"/{what.path}"
        headers = {
            "Host": f"{host}:{what.port}",
            "User-Agent": "work-flow-probe",
            "Accept": "*/*",
            "Connection": "close",
        }
        if what.http_header is not None:
            headers = {name: value for name, value in headers.items() if name.lower() != what.http_header.name.lower()}
            headers[what.http_header.name] = what.http_header.value
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        if any("\r" in line or "\n" in line for line in lines) or " " in path:
            raise ValueError("path and headers must be single lines, and the path without blanks")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await writer.drain()
        _, status = parse_status_line((await reader.readuntil(b"\n")).rstrip(b"\r\n"))
        return 200 <= status < 400
    finally:
        # Not `close`, which waits for the other side to end TLS.
        writer.transport.abort()


@functools.cache
def _unverified() -> ssl.SSLContext:
    """A context without the system's certificates: loading them takes longer than the probe."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
