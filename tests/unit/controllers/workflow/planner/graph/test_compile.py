"""From spec and templates to a graph, or to all that is wrong with them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.types import Workflow, WorkflowSpec
from pkg.apis.flow.v1alpha1.validation import Fault
from pkg.apis.meta import ObjectMeta
from pkg.controllers.workflow.planner.graph.compile import compile_spec
from pkg.controllers.workflow.planner.graph.model import Graph
from tests.builders import TEMPLATES, compiled, template, wf

ASKS = template("job", jobSpec={"x": "{{flows.b.podIP}}"})


def test_a_valid_spec_is_a_graph() -> None:
    assert isinstance(compile_spec(wf(a="", b="a").spec, TEMPLATES), Graph)


def test_all_faults_are_reported_at_once() -> None:
    found = compile_spec(wf(a="nobody", b="nobody").spec, TEMPLATES)
    assert isinstance(found, tuple)
    assert [fault.path for fault in found] == [
        "spec.flows[0].dependsOn.targets[0]",
        "spec.flows[1].dependsOn.targets[0]",
    ]
    assert all(isinstance(fault, Fault) for fault in found)


def test_a_cycle_through_a_template_is_one() -> None:
    found = compile_spec(wf(a="", b="a").spec, {"job": ASKS})
    assert isinstance(found, tuple)
    assert "circle" in found[0].message


@pytest.mark.parametrize(
    ("flows", "path", "message"),
    [
        pytest.param({"b": ""}, "spec.flows[0]", "a flow cannot wait for itself", id="its own"),
        pytest.param(
            {"a": "", "b": {"finally": True}}, "spec.flows[0]", '"b" is a finally flow', id="that of a finally flow"
        ),
    ],
)
def test_a_template_that_needs_an_address_that_never_comes_is_a_fault(
    flows: dict[str, Any], path: str, message: str
) -> None:
    found = compile_spec(wf(**flows).spec, {"job": ASKS})
    assert isinstance(found, tuple)
    assert found[0].path == f"{path} (template job).jobSpec.x"
    assert found[0].message.startswith(message)


BIG = wf(
    **{f"f{at}": {"patch": [{"op": "remove", "path": "/spec/x"}] * 600, "for": {"replicas": 2_000}} for at in range(2)}
)


def test_what_costs_too_much_is_a_fault_with_figure_and_bound() -> None:
    found = compile_spec(BIG.spec, TEMPLATES)
    assert isinstance(found, tuple)
    assert [fault.message.split(";")[0] for fault in found] == ["2,400,000 patch steps (tasks times steps)"]


def test_annotations_count_for_the_size_of_the_object() -> None:
    flows = {f"flow-{at:04}": {"patch": {"x": "y" * 80}} for at in range(5_000)}
    long = ObjectMeta(annotations={"last-applied": "x" * 250_000})
    assert isinstance(compile_spec(wf(**flows).spec, TEMPLATES), Graph)
    assert isinstance(compile_spec(wf(**flows).spec, TEMPLATES, metadata=long), tuple)


def test_a_workflow_that_has_started_goes_on_whatever_it_costs() -> None:
    assert isinstance(compile_spec(BIG.spec, TEMPLATES, is_started=True), Graph)


def test_a_patch_beyond_a_limit_fails_a_new_workflow_and_only_its_tasks_later() -> None:
    deep = msgspec.json.decode(
        b'{"flows":[{"name":"a","template":"job","patch":%b}]}' % (b"[" * 500 + b"]" * 500), type=WorkflowSpec
    )
    long = wf(a={"patch": [{"op": "remove", "path": "/spec/x"}] * 2_001}).spec
    for spec in (deep, long):
        assert isinstance(compile_spec(spec, TEMPLATES), tuple)
        assert isinstance(compile_spec(spec, TEMPLATES, is_started=True), Graph)


def test_a_template_that_asks_for_very_many_addresses_is_not_asked_for_them() -> None:
    flows = wf(**{f"f{at}": "" for at in range(1_000)})
    asks = template("job", jobSpec={"x": [f"{{{{flows.f{at}.podIP}}}}" for at in range(500)]})
    graph = compile_spec(flows.spec, {"job": asks}, is_started=True)
    assert isinstance(graph, Graph)
    assert not any(node.needs_pod_ip for node in graph.nodes)


def test_a_missing_template_is_no_fault() -> None:
    assert isinstance(compile_spec(wf(a="", b="a").spec, {}), Graph)


def test_an_address_of_a_flow_that_is_not_there_fails_the_task_not_the_workflow() -> None:
    graph = compiled(wf(a=""), {"job": ASKS})
    assert not graph["a"].needs_pod_ip


def test_a_restart_of_flows_that_are_not_there_does_not_end_the_workflow() -> None:
    assert isinstance(compile_spec(wf({"restart": {"at": "1", "flows": ["nobody"]}}, a="").spec, TEMPLATES), Graph)


def test_the_same_spec_compiles_to_an_equal_graph() -> None:
    """What is known of the tasks is kept only then."""
    assert compiled(wf(a="", b="a")) == compiled(wf(a="", b="a"))
    assert compiled(wf(a="", b="a")) == compiled(wf({"parallelism": 3}, a="", b="a"))
    assert compiled(wf(a="", b="a")) != compiled(wf(a="", b=""))


def test_a_manifest_of_the_go_original_runs_unchanged() -> None:
    """Every field that its manifests use, as they write it."""
    manifest = {
        "apiVersion": "flow.workflow.sh/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "old", "namespace": "team"},
        "spec": {
            "schedulerName": "volcano",
            "plugins": {"svc": [], "ssh": []},
            "jobRetainPolicy": "delete",
            "successPolicy": {"type": "Critical", "criticalFlows": ["train"]},
            "flows": [
                {"name": "prepare"},
                {
                    "name": "train",
                    "dependsOn": {
                        "targets": ["prepare"],
                        "strategy": "All",
                        "probe": {
                            "httpGetList": [
                                {
                                    "taskName": "serve",
                                    "path": "/",
                                    "port": 80,
                                    "httpHeader": {"name": "a", "value": "b"},
                                }
                            ],
                            "tcpSocketList": [{"taskName": "serve", "port": 80}],
                            "taskStatusList": [{"taskName": "serve", "phase": "Running"}],
                        },
                        "orGroups": [{"targets": ["prepare"]}],
                    },
                    "for": {"replicas": 4},
                    "retry": {"maxRetries": 3},
                    "patch": {"spec": {"minAvailable": 1}},
                    "continueOnFail": True,
                },
                {"name": "serve"},
                {
                    "name": "mourn",
                    "dependsOn": {"probe": {"taskStatusList": [{"taskName": "train", "phase": "Aborted"}]}},
                },
            ],
        },
    }
    workflow = msgspec.json.decode(msgspec.json.encode(manifest), type=Workflow)
    graph = compiled(workflow, {name: template(name) for name in ("prepare", "train", "serve", "mourn")})
    assert [node.size for node in graph.nodes] == [1, 4, 1, 1]


def test_flows_with_the_same_retry_share_its_rule() -> None:
    a, b, c = compiled(wf(a={}, b={}, c={"retry": {"maxRetries": 1}})).nodes
    assert a.retry is b.retry
    assert (a.retry.max_retries, c.retry.max_retries) == (0, 1)
