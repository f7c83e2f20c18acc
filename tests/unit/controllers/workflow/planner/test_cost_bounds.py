"""What a workflow really costs, in counted work, stays near what is estimated before it starts."""

from __future__ import annotations

import random
from typing import Any

import jsonpatch
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1 import cost
from pkg.apis.flow.v1alpha1.edges import TemplateEdges
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import RetryReason, Workflow, WorkTemplate
from pkg.controllers.workflow.planner.graph.compile import compile_spec
from pkg.controllers.workflow.planner.graph.model import Graph, Node, ProbePredicate
from pkg.controllers.workflow.planner.progress import Attempt, FlowState, Task, tally_of
from pkg.controllers.workflow.planner.render.render import render
from pkg.controllers.workflow.planner.status.flow_record import flow_memory
from pkg.controllers.workflow.planner.status.flow_status import flow_status
from pkg.workloads import rules_for
from tests.builders import NOW, template
from tests.manifests import decoded

TEMPLATES = {"job": template("job"), "asks": template("asks", jobSpec={"x": "{{flows.f0.podIP}}"})}
EDGES = {name: TemplateEdges(found.spec) for name, found in TEMPLATES.items()}
EDGY = st.one_of(st.integers(0, 4), st.sampled_from([16, 64]))  # mostly little, sometimes what the schema allows


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """A valid workflow: sizes come from a few numbers, up to the bounds of the schema."""
    count = draw(st.one_of(st.integers(1, 12), st.sampled_from([100, 300])))
    replicas = draw(st.sampled_from([1, 2, 30, 10_000 // count]))
    targets, probes, groups, steps, retries = (draw(EDGY) for _ in range(5))
    has_previous, asks = draw(st.booleans()), draw(st.booleans())
    flows: list[dict[str, Any]] = []
    for at in range(count):
        before = [f"f{number}" for number in range(max(0, at - targets), at)]
        flow: dict[str, Any] = {"name": f"f{at}", "template": "asks" if asks and at else "job"}
        if before:
            probe = {"httpGetList": [{"taskName": before[-1], "port": 80, "path": f"/{n}"} for n in range(probes)]}
            flow["dependsOn"] = {"targets": before, "probe": probe, "orGroups": [{"targets": before}] * groups}
        if replicas > 1:
            own = {"targets": [flow["name"]]} if has_previous else {}
            flow["for"] = {"replicas": replicas, "dependsOn": own}
        if retries:
            flow["retry"] = {"maxRetries": retries}
        if steps:
            flow["patch"] = [{"op": "add", "path": f"/spec/x{n}", "value": n} for n in range(steps)]
        flows.append(flow)
    owner = {"name": "w", "namespace": "ns", "uid": "6a3ef3c2-97a3-4b0e-9d5c-000000000000"}
    return decoded({"metadata": owner, "spec": {"flows": flows}}, Workflow)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(workflows(), st.integers(0, 2**32))
def test_the_work_is_at_most_twice_the_estimate(workflow: Workflow, seed: int) -> None:
    estimate = cost.estimate(workflow.spec, EDGES)
    graph = compile_spec(workflow.spec, TEMPLATES)
    if cost.faults(estimate):
        assert not isinstance(graph, Graph), "above a bound nothing is compiled"
        return
    assert isinstance(graph, Graph)
    predicates = [part for node in graph.nodes for part in node.predicates()]
    assert len(predicates) <= 2 * estimate.edges
    asked = [graph.nodes[part.flow].size for part in predicates if isinstance(part, ProbePredicate)]
    assert sum(asked) <= 2 * estimate.probed
    # All flows have patches of the same length.
    steps = graph.total * _steps_applied(workflow, graph.nodes[-1])
    assert steps <= 2 * estimate.patch_steps
    chance = random.Random(seed)
    status = sum(_least_status(node, len(graph.nodes), chance) for node in graph.nodes)
    assert status <= 2 * estimate.status


def _steps_applied(workflow: Workflow, node: Node) -> int:
    """Steps of the patch of one rendering, counted where they are applied."""
    applied = 0
    apply = jsonpatch.apply_patch

    def counting(*arguments: Any, **options: Any) -> Any:
        nonlocal applied
        applied += 1
        return apply(*arguments, **options)

    work: WorkTemplate = TEMPLATES[node.flow.template_name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonpatch, "apply_patch", counting)
        row = rules_for(work.spec.gvr.gvr)
        render(workflow, node.flow, work, index=0, attempt=0, pod_ips={"f0": "1.1.1.1"}, kind="Job", row=row)
    return applied


def _least_status(node: Node, flows: int, chance: random.Random) -> int:
    """Bytes of what status must keep of a flow whose tasks are in random states."""
    reasons = [reason.value for reason in RetryReason]
    tasks = []
    for _ in range(node.size):
        phase = chance.choice([Phase.BACKOFF if node.retry.max_retries else Phase.FAILED, Phase.FAILED, Phase.RUNNING])
        tasks.append(
            Task(
                phase=phase,
                attempt=chance.randint(0, node.retry.max_retries),
                current=Attempt(was_held=chance.random() < 0.5),
                reason="" if phase is Phase.RUNNING else chance.choice(reasons),
                had_job=True,
                ran=chance.random() < 0.5,
                due=NOW if phase is Phase.BACKOFF else None,
            )
        )
    return _least_bytes(node, FlowState(tuple(tasks), tally_of(tasks), gvr="jobs.v1.batch"), flows)


def _least_bytes(node: Node, state: FlowState, flows: int) -> int:
    memory = flow_memory(node, state)
    found = flow_status(node, state, memory.record, flows, indexed=flows)
    least = msgspec.structs.replace(
        found, message="", start_time="", completion_time="", next_attempt_time="", attempts=0, replicas=()
    )
    return len(msgspec.json.encode(least)) + 1 + len(msgspec.json.encode(memory.record)) + 5


def test_the_estimate_has_room_for_jobs_that_were_renamed_in_every_flow() -> None:
    flows = [{"name": f"f{at}", "template": "job"} for at in range(1_000)]
    workflow = decoded({"metadata": {"name": "w", "namespace": "ns"}, "spec": {"flows": flows}}, Workflow)
    graph = compile_spec(workflow.spec, TEMPLATES)
    assert isinstance(graph, Graph)
    task = Task(phase=Phase.FAILED, reason=RetryReason.DEADLINE_EXCEEDED, had_job=True, ran=True)
    state = FlowState((task,), tally_of((task,)), gvr="jobs.v1.batch", renamed="6a3ef3c2")
    least = sum(_least_bytes(node, state, len(graph.nodes)) for node in graph.nodes)
    assert least <= cost.estimate(workflow.spec, EDGES).status
