"""The floor: a controller that makes one creation per task and one status write per workflow, and nothing else.

It has no durability, no retries, no other features, and decides by what its watch shows. What a real controller needs
beyond its calls and CPU is the price of what it does for users. `--bare` creates all jobs at once, in no order.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any

import click
import msgspec

from hack.bench.async_api import JSON_PATCH, AsyncApi
from hack.bench.shapes import SHAPES, Shape
from hack.bench.world import JobSeen, WorkflowSeen, path_of
from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import API_VERSION, WORKFLOWS

AGENT = "floor"
CONNECTIONS = 64


class _Workflow:
    def __init__(self, seen: WorkflowSeen, shape: Shape) -> None:
        self.name, self.uid = seen.metadata.name, seen.metadata.uid
        self.left = {flow: len(targets) for flow, targets in shape.flows.items()}
        self.unfinished = set(shape.flows)


class Floor:
    """Runs the workflows of one shape in one namespace."""

    def __init__(self, api: AsyncApi, namespace: str, shape: Shape, *, bare: bool) -> None:
        self._api = api
        self._shape = shape
        self._bare = bare
        self._jobs = path_of(shape.kind.gvr, namespace)
        self._workflows = path_of(WORKFLOWS, namespace)
        self._known: dict[str, _Workflow] = {}
        self._job_decoder = msgspec.json.Decoder(JobSeen)
        self._workflow_decoder = msgspec.json.Decoder(WorkflowSeen)
        self._dependents: dict[str, list[str]] = {flow: [] for flow in shape.flows}
        for flow, targets in shape.flows.items():
            for target in targets:
                self._dependents[target].append(flow)
        self._running: set[asyncio.Task[bytes]] = set()

    async def run(self) -> None:
        """Works until the process is ended."""
        await self._api.follow(self._jobs, self._see_job)
        await self._api.follow(self._workflows, self._see_workflow)
        print('"acting"', flush=True)
        await asyncio.Event().wait()

    def _start(self, call: Coroutine[Any, Any, bytes]) -> None:
        task = asyncio.ensure_future(call)
        self._running.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[bytes]) -> None:
        self._running.discard(task)
        task.result()

    def _see_workflow(self, event: str, item: bytes) -> None:
        if event != "ADDED":
            return
        workflow = _Workflow(self._workflow_decoder.decode(item), self._shape)
        self._known[workflow.name] = workflow
        for flow, left in workflow.left.items():
            if not left or self._bare:
                self._create(workflow, flow)

    def _see_job(self, event: str, item: bytes) -> None:
        if event != "MODIFIED" or self._bare:
            return
        job = self._job_decoder.decode(item)
        workflow = self._known.get(job.workflow)
        if workflow is None or not job.is_complete or job.flow not in workflow.unfinished:
            return
        workflow.unfinished.discard(job.flow)
        for other in self._dependents[job.flow]:
            workflow.left[other] -= 1
            if not workflow.left[other]:
                self._create(workflow, other)
        if not workflow.unfinished:
            self._end(workflow)

    def _create(self, workflow: _Workflow, flow: str) -> None:
        owner = {
            "apiVersion": API_VERSION,
            "kind": "Workflow",
            "name": workflow.name,
            "uid": workflow.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
        found = labels.for_task(workflow=workflow.name, uid=workflow.uid, flow=flow, index=None, attempt=0)
        notes = self._shape.notes
        body = self._shape.kind.body(
            f"{workflow.name}-{flow}", {"labels": found, "ownerReferences": [owner], "annotations": notes}
        )
        self._start(self._api.call("POST", self._jobs, msgspec.json.encode(body)))

    def _end(self, workflow: _Workflow) -> None:
        flows = [{"name": flow, "phase": "Succeeded", "attempts": 1} for flow in self._shape.flows]
        status = {"phase": "Succeeded", "flows": flows}
        body = msgspec.json.encode([{"op": "add", "path": "/status", "value": status}])
        self._start(self._api.call("PATCH", f"{self._workflows}/{workflow.name}/status", body, JSON_PATCH))


@click.command()
@click.option("--kubeconfig", required=True)
@click.option("--namespace", required=True)
@click.option("--shape", required=True)
@click.option("--bare", is_flag=True)
@click.option("--connections", default=CONNECTIONS, help="Calls in flight at most.")
def main(kubeconfig: str, namespace: str, shape: str, bare: bool, connections: int) -> None:
    """The process that the benchmark starts in place of a controller."""

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: _fail(context))
        await Floor(AsyncApi(kubeconfig, AGENT, connections), namespace, SHAPES[shape], bare=bare).run()

    gc.freeze()
    asyncio.run(run())


def _fail(context: dict[str, Any]) -> None:
    print(context.get("exception") or context["message"], flush=True)


if __name__ == "__main__":
    main()
