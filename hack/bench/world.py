"""What is around the controller in a measurement: the operator of the simulated jobs, and an observer with one clock.

Controller and floor are both seen by this observer, and their jobs are completed by this operator.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

import msgspec

from hack.bench.async_api import MERGE_PATCH, ApiError, AsyncApi
from hack.bench.shapes import Object, Shape
from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, WORKTEMPLATES
from pkg.apis.meta import GVR

T = TypeVar("T")
_CONNECTIONS = 64


def path_of(gvr: GVR, namespace: str) -> str:
    """The URL path of a collection."""
    return f"{gvr.root}/namespaces/{namespace}/{gvr.resource}"


class MetaSeen(msgspec.Struct):
    """What is read of metadata."""

    name: str
    uid: str = ""
    labels: dict[str, str] = {}


class _Condition(msgspec.Struct, frozen=True):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct, frozen=True):
    phase: str = ""
    conditions: tuple[_Condition, ...] = ()


class JobSeen(msgspec.Struct):
    """What is read of a job."""

    metadata: MetaSeen
    status: _Status = _Status()

    @property
    def workflow(self) -> str:
        return self.metadata.labels.get(labels.WORKFLOW, "")

    @property
    def flow(self) -> str:
        return self.metadata.labels.get(labels.FLOW, "")

    @property
    def is_complete(self) -> bool:
        """Whether it has succeeded, as custom resources, pods and batch Jobs say it."""
        status = self.status
        return status.phase == "Succeeded" or any(
            found.type == "Complete" and found.status == "True" for found in status.conditions
        )


class WorkflowSeen(msgspec.Struct):
    """What is read of a workflow; status: as JSON."""

    metadata: MetaSeen
    status: msgspec.Raw = msgspec.Raw(b"{}")


class World:
    """Watches one namespace, as the operator of its simulated jobs; in a thread of its own. Times: of perf_counter().

    status_bytes: the sizes of all statuses that were stored, added up; last_status: that of the last one.
    """

    def __init__(self, kubeconfig: str, namespace: str, shape: Shape) -> None:
        self._shape = shape
        self._namespace = namespace
        self._jobs = path_of(shape.kind.gvr, namespace)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="world", daemon=True)
        self._thread.start()
        self._api = AsyncApi(kubeconfig, "bench-world", _CONNECTIONS)
        self._job_decoder = msgspec.json.Decoder(JobSeen)
        self._workflow_decoder = msgspec.json.Decoder(WorkflowSeen)
        self._statuses: dict[str, bytes] = {}
        self._running: set[asyncio.Task[bytes]] = set()
        self._all_ended = threading.Event()
        self._wanted = 0
        self.submitted: dict[str, float] = {}
        self.made: dict[tuple[str, str], float] = {}
        self.complete: dict[tuple[str, str], float] = {}
        self.ended: dict[str, float] = {}
        self.phases: dict[str, str] = {}
        self.status_bytes = 0
        self.last_status = 0
        self.failure = ""
        self._await(self._follow())

    def close(self) -> None:
        """Ends the watches."""
        self._loop.call_soon_threadsafe(self._api.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def create_all(self, gvr: GVR, objects: Iterable[Object]) -> None:
        """Creates objects of one kind, many at once."""
        path = path_of(gvr, self._namespace)

        async def run() -> None:
            await asyncio.gather(*(self._api.call("POST", path, msgspec.json.encode(item)) for item in objects))

        self._await(run())

    def create_templates(self, documents: Iterable[Object]) -> None:
        """Creates WorkTemplates."""
        self.create_all(WORKTEMPLATES, documents)

    def run(self, names: list[str], seconds: float) -> None:
        """Submits workflows of the shape, and waits until they have ended. SystemExit if that takes longer."""
        for batch in [[name] for name in names] if self._shape.in_turn else [names]:
            self._all_ended.clear()
            self._wanted = len(self.ended) + len(batch)
            self._await(self._submit(batch))
            self._wait(f"{self._wanted} workflows", seconds)

    def run_bare(self, names: list[str], seconds: float) -> None:
        """Submits workflows, and waits until all their jobs are complete."""
        self._await(self._submit(names))
        deadline = time.monotonic() + seconds
        while len(self.complete) < len(names) * len(self._shape.flows):
            if time.monotonic() > deadline or self.failure:
                raise SystemExit(f"{len(self.complete)} jobs were complete; {self.failure}")
            time.sleep(0.02)

    def _wait(self, what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._all_ended.wait(0.1):
            if self.failure or time.monotonic() > deadline:
                raise SystemExit(f"{what} did not end, only {len(self.ended)}; {self.failure or self._unended()}")

    def _unended(self) -> str:
        """The begin of what the API server says of some workflows that have not ended, and of their jobs."""
        names = [name for name in self.submitted if name not in self.ended][:3]
        paths = [f"{path_of(WORKFLOWS, self._namespace)}/{name}" for name in names]
        paths += [f"{self._jobs}?labelSelector={labels.WORKFLOW}%3D{name}" for name in names]

        async def read(path: str) -> str:
            try:
                text = (await asyncio.wait_for(self._api.call("GET", path), 5)).decode()
                return f"{path}: {text[:2000]}"
            except (ApiError, OSError) as error:
                return f"{path}: {error!r}"

        return "\n".join(self._await(read(path)) for path in paths)

    def _await(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(120)

    async def _follow(self) -> None:
        self._loop.set_exception_handler(self._fail)
        await self._api.follow(self._jobs, self._see_job)
        await self._api.follow(path_of(WORKFLOWS, self._namespace), self._see_workflow)

    def _fail(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failure = self.failure or str(context.get("exception") or context["message"])

    async def _submit(self, names: list[str]) -> None:
        path = path_of(WORKFLOWS, self._namespace)
        bodies = [msgspec.json.encode(self._shape.workflow(name)) for name in names]
        began = time.perf_counter()
        calls = []
        for at, (name, body) in enumerate(zip(names, bodies, strict=True)):
            if self._shape.rate:
                await asyncio.sleep(max(0.0, began + at / self._shape.rate - time.perf_counter()))
            self.submitted[name] = time.perf_counter()
            calls.append(asyncio.ensure_future(self._api.call("POST", path, body)))
        await asyncio.gather(*calls)

    def _see_job(self, event: str, item: bytes) -> None:
        now = time.perf_counter()
        job = self._job_decoder.decode(item)
        key = (job.workflow, job.flow)
        if key not in self.made:
            self.made[key] = now
            if self._shape.kind.simulated:
                self._loop.call_later(self._shape.seconds, self._set_phase, job.metadata.name)
        if job.is_complete:
            self.complete.setdefault(key, now)

    def _set_phase(self, name: str) -> None:
        body = msgspec.json.encode({"status": {"phase": self._shape.phase}})
        task = self._loop.create_task(self._api.call("PATCH", f"{self._jobs}/{name}/status", body, MERGE_PATCH))
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[bytes]) -> None:
        self._running.discard(task)
        if task.exception() is not None:
            self.failure = self.failure or str(task.exception())

    def _see_workflow(self, event: str, item: bytes) -> None:
        now = time.perf_counter()
        seen = self._workflow_decoder.decode(item)
        name, status = seen.metadata.name, bytes(seen.status)
        if status == b"{}" or self._statuses.get(name) == status:
            return
        self._statuses[name] = status
        self.status_bytes += len(status)
        self.last_status = len(status)
        phase = msgspec.json.decode(status, type=_Status).phase
        if phase in ("Succeeded", "Failed") and name not in self.ended:
            self.ended[name] = now
            self.phases[name] = phase
            if len(self.ended) >= self._wanted:
                self._all_ended.set()
