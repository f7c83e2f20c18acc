"""What a workflow may cost: each figure, each bound."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import cost
from pkg.apis.flow.v1alpha1.cost import Cost
from pkg.apis.flow.v1alpha1.edges import TemplateEdges
from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import (
    FlowStatus,
    Record,
    RulesRecord,
    WorkflowSpec,
    WorkflowStatus,
    WorkTemplateSpec,
)
from pkg.apis.meta import ObjectMeta
from tests.builders import wf
from tests.manifests import decoded


def spec(*flows: dict[str, Any], **more: Any) -> WorkflowSpec:
    return decoded({"flows": flows, **more}, WorkflowSpec)


STEP = {"op": "add", "path": "/spec/x", "value": 1}
ASKS = {"gvr": {"version": "v1", "resource": "pods"}, "jobSpec": {"x": "{{flows.a.podIP}} {{flows.c.podIP}}"}}
GET = {"taskName": "a", "port": 80}
A: dict[str, Any] = {"name": "a", "for": {"replicas": 10}}


@pytest.mark.parametrize(
    ("flows", "figures"),
    [
        pytest.param(
            [{"name": "b", "dependsOn": {"targets": ["a"], "orGroups": [{"targets": ["a", "a"]}]}}],
            {"edges": 3},
            id="each mention is an edge",
        ),
        pytest.param(
            [{"name": "b", "dependsOn": {"probe": {"taskStatusList": [{"taskName": "a", "phase": "Failed"}]}}}],
            {"edges": 1, "probed": 0},
            id="a task status is an edge and no probe",
        ),
        pytest.param(
            [{"name": "b", "dependsOn": {"probe": {"httpGetList": [GET, GET], "tcpSocketList": [GET]}}}],
            {"edges": 3, "probed": 30},
            id="a probe counts once per replica that is probed",
        ),
        pytest.param(
            [{"name": "b", "for": {"replicas": 7, "dependsOn": {"targets": ["b", "a"]}}}],
            {"edges": 2, "previous": 7},
            id="the flow's own name counts once per replica that asks",
        ),
        pytest.param(
            [{"name": "b", "for": {"replicas": 5}, "patch": [STEP, STEP]}],
            {"patch_steps": 10, "patch_bytes": 5 * len(msgspec.json.encode([STEP, STEP]))},
            id="a JSON Patch counts once per task",
        ),
        pytest.param(
            [{"name": "b", "for": {"replicas": 0}, "patch": {"x": 1}}],
            {"patch_steps": 0, "patch_bytes": 7},
            id="no replicas are one task, and a merge patch has no steps",
        ),
        pytest.param(
            [{"name": "b", "template": "asks", "for": {"replicas": 7}}, {"name": "c", "template": "missing"}],
            {"template_bytes": 7 * len(msgspec.json.encode(ASKS["jobSpec"]))},
            id="a template counts once per task",
        ),
        pytest.param([{"name": "b", "template": "asks"}], {"edges": 2}, id="addresses that a template needs are edges"),
    ],
)
def test_figures(flows: list[dict[str, Any]], figures: dict[str, int]) -> None:
    templates = {"asks": TemplateEdges(decoded(ASKS, WorkTemplateSpec))}
    found = cost.estimate(spec(A, *flows), templates)
    assert {name: getattr(found, name) for name in figures} == figures


def test_the_spec_counts_as_the_api_server_stores_it_with_its_defaults() -> None:
    written = spec({"name": "a", "retry": {"maxRetries": 1}, "for": {"replicas": 1}})
    stored = {
        "flows": [
            {
                "name": "a",
                "retry": {"maxRetries": 1, "interval": "10s", "factor": 2, "maxInterval": "5m"},
                "for": {"replicas": 1},
            }
        ],
        "jobRetainPolicy": "retain",
    }
    exact = len(msgspec.json.encode(stored))
    assert exact <= cost.estimate(written).spec <= exact + 20


def test_labels_and_annotations_count() -> None:
    bare = cost.estimate(spec(A), metadata=ObjectMeta(name="w"))
    more = cost.estimate(spec(A), metadata=ObjectMeta(name="w", annotations={"last-applied": '"x"' * 100}))
    assert more.metadata - bare.metadata == len('"last-applied":""') + 500 + 1


@pytest.mark.parametrize(
    ("less", "more"),
    [
        pytest.param({}, {"retry": {"maxRetries": 1}}, id="retries"),
        pytest.param(
            {"retry": {"maxRetries": 1}}, {"retry": {"maxRetries": 100}, "for": {"replicas": 9}}, id="replicas"
        ),
        pytest.param({}, {"dependsOn": {"probe": {"tcpSocketList": [GET]}}}, id="latches of probes"),
    ],
)
def test_what_status_must_keep_grows_with(less: dict[str, Any], more: dict[str, Any]) -> None:
    small, large = (cost.estimate(spec(A, {"name": "b", **fields})) for fields in (less, more))
    assert small.status < large.status


@pytest.mark.parametrize(
    ("above", "path", "says"),
    [
        pytest.param(Cost(spec=cost.MAX_OBJECT + 1), "spec", "etcd takes 1,568,768", id="bytes"),
        pytest.param(Cost(edges=cost.MAX_EDGES + 1), "spec.flows", "100,001 dependencies .* 100,000", id="edges"),
        pytest.param(Cost(probed=cost.MAX_PROBED + 1), "spec.flows", "20,001 probes .* 20,000", id="probes"),
        pytest.param(Cost(previous=cost.MAX_PREVIOUS + 1), "spec.flows", "1,000,001 .* 1,000,000", id="previous"),
        pytest.param(Cost(patch_steps=cost.MAX_PATCH_STEPS + 1), "spec.flows", "1,000,001 patch steps", id="steps"),
        pytest.param(Cost(patch_bytes=cost.MAX_PATCH_BYTES + 1), "spec.flows", "bytes of patches", id="patch bytes"),
        pytest.param(
            Cost(template_bytes=cost.MAX_TEMPLATE_BYTES + 1),
            "spec.flows",
            "1,073,741,825 bytes of templates .* 1,073,741,824",
            id="template bytes",
        ),
    ],
)
def test_above_a_bound_the_fault_has_figure_and_bound(above: Cost, path: str, says: str) -> None:
    (fault,) = cost.faults(above)
    assert fault.path == path
    assert re.search(says, fault.message)


def test_at_the_bounds_there_is_no_fault() -> None:
    at_most = Cost(
        spec=cost.MAX_OBJECT - 2,
        metadata=1,
        status=1,
        edges=cost.MAX_EDGES,
        probed=cost.MAX_PROBED,
        previous=cost.MAX_PREVIOUS,
        patch_steps=cost.MAX_PATCH_STEPS,
        patch_bytes=cost.MAX_PATCH_BYTES,
        template_bytes=cost.MAX_TEMPLATE_BYTES,
    )
    assert cost.faults(at_most) == ()


@pytest.mark.parametrize(
    "large",
    [
        pytest.param([{"name": "a", "for": {"replicas": 10_000}, "retry": {"maxRetries": 3}}], id="10,000 replicas"),
        pytest.param(
            [{"name": f"f{at}", "dependsOn": {"targets": [f"f{at - 1}"]} if at else {}} for at in range(5_000)],
            id="a chain of 5,000 flows",
        ),
        pytest.param(
            [{"name": f"f{at}", "retry": {"maxRetries": 3}, "patch": {"x": at}} for at in range(3_000)],
            id="3,000 flows with retries and patches",
        ),
    ],
)
def test_large_workflows_are_allowed(large: list[dict[str, Any]]) -> None:
    assert cost.faults(cost.estimate(spec(*large))) == ()


def test_a_workflow_has_started_once_its_status_lists_its_flows() -> None:
    assert not cost.has_started(WorkflowStatus(reason="Invalid"))
    assert cost.has_started(WorkflowStatus(flows=(FlowStatus("a", Phase.WAITING),)))


@pytest.mark.parametrize("says", [{"completion": "Ready"}, {"statusRules": {"ok": [{"cond": "Done"}]}}])
def test_what_jobs_carry_of_their_template_counts(says: dict[str, Any]) -> None:
    """The hashes of four versions of it, each with the position of every flow, and its bytes in each job."""
    gvr = {"gvr": {"version": "v1", "resource": "pods"}, "jobSpec": {}}
    plain, carries = (
        cost.estimate(spec(*({"name": f"f{at}", "template": "t"} for at in range(100))), {"t": edges})
        for edges in (TemplateEdges(decoded(one, WorkTemplateSpec)) for one in (gvr, gvr | says))
    )
    record = Record(rules=(RulesRecord("0" * 32, ",".join(f"{1000 + at}" for at in range(100))),) * 4)
    bytes_of_record = len(msgspec.json.encode(record)) - len(msgspec.json.encode(Record()))
    assert carries.status - plain.status >= bytes_of_record - 50
    rules = len(msgspec.json.encode(says["statusRules"])) if "statusRules" in says else 0
    assert carries.template_bytes - plain.template_bytes == 100 * rules


def test_pod_addresses_in_values_of_parameters_count_for_each_flow_that_uses_them() -> None:
    asks = {
        "asks": TemplateEdges(
            decoded({"gvr": {"version": "v1", "resource": "jobs"}, "jobSpec": {"x": "{{params.p}}"}}, WorkTemplateSpec)
        )
    }
    flows = [{"name": f"f{at}", "template": "asks"} for at in range(1_000)]
    value = "".join(f"{{{{flows.f{at}.podIP}}}}" for at in range(100))
    parameters = [{"name": "p", "value": value}, {"name": "unused", "value": value}]
    found = cost.estimate(decoded({"flows": flows, "parameters": parameters}, WorkflowSpec), asks)
    assert found.edges == 100_000
    parameters[0]["value"] = value + "".join(f"{{{{flows.f{at}.podIP}}}}" for at in range(100, 700))
    found = cost.estimate(decoded({"flows": flows, "parameters": parameters}, WorkflowSpec), asks)
    assert found.edges > cost.MAX_EDGES, "also where not all are counted"


def test_each_applied_object_takes_room_in_the_status_for_its_name_and_uid() -> None:
    def status(action: str) -> int:
        kind = {"version": "v1", "resource": "configmaps"}
        template = {"gvr": kind, "metadata": {"name": "x-{{index}}"}, "action": action}
        spec = {"flows": [{"name": "a", "templateSpec": template, "for": {"replicas": 1000}}]}
        return cost.estimate(decoded(spec, WorkflowSpec)).status

    assert status("Apply") - status("Create") > 1000 * (36 + len("x-999"))


def test_an_approval_counts_the_decision_to_come_and_since_when_people_are_asked() -> None:
    def bytes_of(**fields: Any) -> tuple[int, int]:
        found = cost.estimate(wf(a={"approval": {}, **fields}).spec)
        return found.spec, found.status

    bare, plain = cost.estimate(wf(a={}).spec), bytes_of()
    assert plain[0] - bare.spec > 300
    timed = bytes_of(timeout="1h")
    assert timed[1] - plain[1] > 16 * 40


def test_what_finally_flows_know_of_the_end_counts_only_where_one_uses_it() -> None:
    def status(when: str) -> int:
        return cost.estimate(wf(a={}, z={"finally": True, "when": when}).spec).status

    assert status("workflow.phase == 'Failed'") - status("workflow.name == 'w'") > 4_096
