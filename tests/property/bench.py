"""Prints what the pure core costs: validation of a dense DAG, a pass over a wide workflow, and probes of many replicas.

Run by hand: python -m tests.property.bench. Numbers, not assertions: they depend on the machine.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog

from pkg.apis.flow.v1alpha1 import labels, validation
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.flow.v1alpha1.types import API_VERSION, PodChoice, TCPSocket, Workflow, WorkTemplate
from pkg.apis.meta import Job, ObjectMeta, OwnerReference
from pkg.controllers.engine.store import Indexers
from pkg.controllers.workflow.planner.actions import ProbeRequest
from pkg.controllers.workflow.planner.graph.compile import compile_spec
from pkg.controllers.workflow.planner.graph.model import Graph
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.plan import plan
from pkg.controllers.workflow.planner.progress import ProbeKey, TaskKey
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot
from pkg.controllers.workflow.pod_finder import ChangedPods, OnPods, Pod, PodFinder
from pkg.controllers.workflow.prober import Prober
from pkg.kinds.kind import Kind
from pkg.workloads import rules_for
from tests.builders import WORKFLOW
from tests.manifests import decoded
from tests.property.world import EPOCH, JOBS, NAME, NAMESPACE, UID
from tests.unit.controllers.workflow.test_pod_finder import Informers, pod

TASKS = 5_000
POD = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}}}
TEMPLATE: dict[str, Any] = {"metadata": {"name": "job"}, "spec": {"gvr": msgspec.to_builtins(JOBS), "jobSpec": POD}}


def best_of(count: int, act: Callable[[], object]) -> float:
    """The quickest of some runs, in milliseconds."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return min(times) * 1e3


def layers() -> Workflow:
    """20 layers of 3 flows, each on all of the layer before."""
    flows = [
        {"name": f"l{layer}-{at}", "dependsOn": {"targets": [f"l{layer - 1}-{other}" for other in range(3)]}}
        if layer
        else {"name": f"l0-{at}"}
        for layer in range(20)
        for at in range(3)
    ]
    return _workflow(flows)


def wide() -> Workflow:
    """5,000 flows in chains of five."""
    return _workflow(
        [
            {"name": f"f{at}", "template": "job", **({"dependsOn": {"targets": [f"f{at - 1}"]}} if at % 5 else {})}
            for at in range(TASKS)
        ]
    )


def _workflow(flows: list[dict[str, Any]]) -> Workflow:
    meta = {"name": NAME, "namespace": NAMESPACE, "uid": UID, "generation": 1, "resourceVersion": "1"}
    return decoded({"metadata": meta, "spec": {"flows": flows}}, Workflow)


def _job(flow: str, status: dict[str, Any]) -> ObservedJob:
    meta = ObjectMeta(
        name=f"{NAME}-{flow}",
        namespace=NAMESPACE,
        uid=f"uid-{flow}",
        creation_timestamp=datetime.fromtimestamp(EPOCH, UTC),
        labels=labels.for_task(workflow=NAME, uid=UID, flow=flow, index=None, attempt=0),
        owner_references=(OwnerReference(API_VERSION, "Workflow", NAME, UID, controller=True),),
    )
    return ObservedJob(JOBS, Job(meta, "batch/v1", "Job", status=status), 0)


def first_sight(
    workflow: Workflow,
    graph: Graph,
    templates: dict[str, WorkTemplate],
    jobs: dict[TaskKey, tuple[ObservedJob, ...]],
) -> Snapshot:
    """A workflow as a controller sees it first, with every kind known and synced."""
    return Snapshot(
        now=EPOCH,
        since=EPOCH,
        workflow=workflow,
        graph=graph,
        spec_hash=spec_hash(workflow.spec),
        templates=templates,
        jobs=jobs,
        progress=None,
        kinds={JOBS: Kind("Job", rules_for(JOBS))},
        synced=frozenset({JOBS}),
    )


class _Passing(Prober):
    """Probes that pass once there is an address, without the network."""

    async def _call_pod(self, *_: object) -> None:
        return None


def probe_all(replicas: int) -> float:
    """CPU milliseconds per replica from its pod's address to the probe that passed, 5 ms between the pods."""
    informers: list[Informers] = []

    def make(selector: str, indexers: Indexers[Pod], on_pods: OnPods) -> Any:
        informers.append(Informers(selector, indexers, on_pods))
        return informers[-1]

    def changed(changes: ChangedPods) -> None:
        prober.pods_changed(changes)

    finder = PodFinder(make, lambda *_: None, changed)

    def addresses(workflow: WorkflowId, asked: ProbeRequest) -> tuple[str, ...]:
        return finder.addresses(workflow, asked.asked, asked.attempt, asked.gvr, role="", choice=asked.pods)

    prober = _Passing(addresses, lambda _: None, lambda *_: None)
    prober.start()
    what, gvr = TCPSocket("a", 80), "jobs.v1.batch"
    wanted = [
        ProbeRequest(ProbeKey("b", "probe", at), TaskKey("a", at), 0, what, 5.0, 2.0, 1, "", PodChoice.LEAD, gvr)
        for at in range(replicas)
    ]
    pods = [pod(f"p{at}", f"127.1.{at >> 8}.{at & 255}", index=str(at)) for at in range(replicas)]
    prober.want(WORKFLOW, wanted)
    time.sleep(1)
    began = time.process_time()
    for one in pods:
        informers[0].tell(one)
        time.sleep(0.005)
    while len(prober.passed(WORKFLOW)) < replicas:
        time.sleep(0.01)
    prober.stop()
    return (time.process_time() - began) / replicas * 1e3


def main() -> None:
    dense = layers()
    print(f"validation of 20 layers of 3 flows: {best_of(20, lambda: validation.validate_workflow(dense.spec)):.2f} ms")

    templates = {"job": decoded(TEMPLATE, WorkTemplate)}
    workflow = wide()
    graph = compile_spec(workflow.spec, templates)
    assert isinstance(graph, Graph)
    print(
        f"validation and graph of {TASKS:,} flows: {best_of(3, lambda: compile_spec(workflow.spec, templates)):.1f} ms"
    )
    running = {"active": 1, "ready": 1}
    jobs: dict[TaskKey, tuple[ObservedJob, ...]] = {}
    jobs |= {TaskKey(f"f{at}", 0): (_job(f"f{at}", running),) for at in range(0, TASKS, 5)}
    seen = first_sight(workflow, graph, templates, jobs)
    print(f"plan from nothing, status and all: {best_of(3, lambda: plan(seen)):.1f} ms")
    progress = plan(seen).progress.acknowledged(EPOCH)
    while progress.stale or progress.unfolded:  # what the budget of the first pass left
        later = replace(seen, progress=progress, dirty=frozenset(), may_create=False)
        progress = plan(later).progress.acknowledged(EPOCH)
    written = plan(replace(seen, progress=progress, dirty=frozenset(), may_create=False, is_urgent=True))
    progress = written.progress.acknowledged(EPOCH)  # every flow is rendered
    done = TaskKey("f0", 0)
    after = replace(
        seen,
        progress=progress,
        jobs={**jobs, done: (_job("f0", {"conditions": [{"type": "Complete", "status": "True"}]}),)},
        dirty=frozenset({done}),
    )
    made = plan(after)
    assert [creation.task.flow for creation in made.creations] == ["f1"]
    print(f"plan of one job that has ended (no status due): {best_of(20, lambda: plan(after)):.2f} ms")
    print(f"the same, looking at everything: {best_of(3, lambda: plan(replace(after, dirty=None))):.1f} ms")
    print(f"the same with its status: {best_of(5, lambda: plan(replace(after, is_urgent=True))):.1f} ms")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    for replicas in (250, 1000, 4000):
        print(f"a replica of {replicas:,} that are probed, from its address on: {probe_all(replicas):.2f} ms CPU")


if __name__ == "__main__":
    main()
