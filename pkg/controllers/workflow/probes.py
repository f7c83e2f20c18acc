"""HTTP and TCP probes, on one event loop in a thread of its own: workers never wait for an answer.

The prober keeps trying what it was last told to try; when a probe passes, the workflow is woken at once. Only addresses
of the task's own pods are contacted.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from pkg.apis.flow.v1alpha1.types import HTTPGet, PodChoice, Scheme
from pkg.controllers.workflow.actions import ProbeRequest
from pkg.controllers.workflow.snapshot import ProbeKey

_log = structlog.get_logger("workflow.probes")
MAX_STATUS_LINE = 4096
# At once in flight; more wait for their turn, so that a thousand dead ports do not use up the sockets.
MAX_CONCURRENT = 256

Addresses = Callable[[str, ProbeRequest], tuple[str, ...]]


@dataclass(slots=True)
class _Probed:
    """The probes of one workflow uid. The event is set when its pods changed."""

    key: str
    tasks: dict[ProbeRequest, asyncio.Task[None]] = field(default_factory=dict)
    passed: dict[ProbeKey, ProbeRequest] = field(default_factory=dict)
    moved: asyncio.Event = field(default_factory=asyncio.Event)


class Prober:
    """addresses(uid, request) gives the pods to ask; wake(key) is called when a probe passes; count(kind, result)
    per try.
    """

    def __init__(self, addresses: Addresses, wake: Callable[[str], None], count: Callable[[str, str], None]) -> None:
        self._addresses = addresses
        self._wake = wake
        self._count = count
        self._loop = asyncio.new_event_loop()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._workflows: dict[str, _Probed] = {}
        self._passed: dict[str, frozenset[ProbeKey]] = {}
        self._wanted: dict[str, frozenset[ProbeRequest]] = {}
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def passed(self, uid: str) -> frozenset[ProbeKey]:
        """The probes of a workflow that pass."""
        return self._passed.get(uid, frozenset())

    def want(self, uid: str, key: str, requests: Iterable[ProbeRequest]) -> None:
        """From now on these are tried, and no others; what goes on unchanged is not started anew."""
        wanted = frozenset(requests)
        if self._wanted.get(uid, frozenset()) == wanted:
            return
        if wanted:
            self._wanted[uid] = wanted
        else:
            self._wanted.pop(uid, None)
        self._loop.call_soon_threadsafe(self._replace, uid, key, wanted)

    def pods_changed(self, uids: Iterable[str]) -> None:
        """Pods of these workflows came, went or got their address."""
        found = [uid for uid in uids if uid in self._wanted]
        if found:
            self._loop.call_soon_threadsafe(self._stir, found)

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

    def _stir(self, uids: list[str]) -> None:
        for uid in uids:
            probed = self._workflows.get(uid)
            if probed is not None:
                probed.moved.set()
                probed.moved = asyncio.Event()

    def _replace(self, uid: str, key: str, wanted: frozenset[ProbeRequest]) -> None:
        probed = self._workflows.get(uid)
        if probed is None:
            probed = self._workflows[uid] = _Probed(key)
        for request in [request for request in probed.tasks if request not in wanted]:
            probed.tasks.pop(request).cancel()
        # What passed for an earlier attempt says nothing about this one.
        probed.passed = {at: request for at, request in probed.passed.items() if request in wanted}
        self._passed[uid] = frozenset(probed.passed)
        for request in wanted:
            if request not in probed.tasks and request.key not in probed.passed:
                probed.tasks[request] = self._loop.create_task(self._try_on(uid, probed, request))
        if not wanted:
            del self._workflows[uid]
            self._passed.pop(uid, None)

    async def _try_on(self, uid: str, probed: _Probed, request: ProbeRequest) -> None:
        """Tries until the probe has passed often enough in a row."""
        in_a_row = 0
        while in_a_row < request.threshold:
            moved = probed.moved
            addresses = self._addresses(uid, request)
            if addresses:
                in_a_row = in_a_row + 1 if await self._ask_all(request, addresses) else 0
                if in_a_row >= request.threshold:
                    break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), request.period)
        probed.passed[request.key] = request
        probed.tasks.pop(request, None)
        self._passed[uid] = frozenset(probed.passed)
        _log.info(
            "probe passed", workflow=probed.key, flow=request.key.flow, asked=request.asked.flow, probe=request.key.path
        )
        self._wake(probed.key)

    async def _ask_all(self, request: ProbeRequest, addresses: tuple[str, ...]) -> bool:
        results = await asyncio.gather(*(self._ask(request, address) for address in addresses))
        return any(results) if request.pods is PodChoice.ANY else all(results)

    async def _ask(self, request: ProbeRequest, address: str) -> bool:
        what = request.what
        kind = "http" if isinstance(what, HTTPGet) else "tcp"
        async with self._slots:
            try:
                async with asyncio.timeout(request.timeout):
                    answer = await (_http(what, address) if isinstance(what, HTTPGet) else _tcp(what.port, address))
            except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                _log.debug("probe failed", address=address, port=what.port, error=str(error) or type(error).__name__)
                answer = False
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
        line = (await reader.readuntil(b"\n")).decode("latin-1").split(None, 2)
        return len(line) >= 2 and line[0].startswith("HTTP/") and line[1].isdigit() and 200 <= int(line[1]) < 400
    finally:
        writer.close()


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
