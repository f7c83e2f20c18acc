"""Every fault that a schema cannot say, with its path."""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.types import WorkflowSpec, WorkTemplateSpec
from pkg.apis.flow.v1alpha1.validation import (
    Fault,
    foreign_variables,
    read,
    summary,
    unused,
    validate_template,
    validate_with_templates,
    validate_workflow,
)
from tests.manifests import decoded


def spec(*flows: dict[str, Any], **more: Any) -> WorkflowSpec:
    return decoded({"flows": flows, **more}, WorkflowSpec)


def template(job_spec: dict[str, Any] | None = None, **more: Any) -> WorkTemplateSpec:
    gvr = {"group": "batch", "version": "v1", "resource": "jobs"}
    return decoded({"gvr": gvr, "jobSpec": job_spec or {}, **more}, WorkTemplateSpec)


def after(name: str, *targets: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "dependsOn": {"targets": targets}, **more}


def probing(name: str, **probe: Any) -> dict[str, Any]:
    return {"name": name, "dependsOn": {"probe": probe}}


A: dict[str, Any] = {"name": "a"}
B: dict[str, Any] = {"name": "b"}


@pytest.mark.parametrize(
    "good",
    [
        pytest.param(spec(A), id="one flow"),
        pytest.param(spec(A, after("b", "a"), after("c", "a"), after("d", "b", "c")), id="a diamond"),
        pytest.param(spec(after("b", "a"), A), id="flows in any order"),
        pytest.param(
            spec({"name": "a", "for": {"replicas": 3, "dependsOn": {"targets": ["a"]}}}),
            id="its own name in for.dependsOn means the previous index",
        ),
        pytest.param(
            spec({"name": "a", "finally": True, "for": {"replicas": 2, "dependsOn": {"targets": ["a"]}}}, B),
            id="a finally flow may wait for its own previous index",
        ),
        pytest.param(spec(A, {"name": "b", "dependsOn": {}}), id="dependsOn with nothing in it"),
        pytest.param(
            spec(
                A,
                {
                    "name": "b",
                    "finally": True,
                    "dependsOn": {"probe": {"taskStatusList": [{"taskName": "a", "phase": "Failed"}]}},
                },
            ),
            id="a finally flow that asks for the phase of another",
        ),
        pytest.param(spec(A, successPolicy={"type": "Critical", "criticalFlows": ["a"]}), id="critical flows"),
        pytest.param(
            spec({"name": "a", "patch": {"spec": {"x": "{{params.later}} {{user.x}}"}}}), id="variables in a patch"
        ),
        pytest.param(
            spec({"name": "a", "for": {"replicas": 5_000}}, {"name": "b", "for": {"replicas": 5_000}}),
            id="10,000 tasks",
        ),
        pytest.param(
            spec({"name": "a", "retry": {"maxRetries": 1, "maxInterval": "0s"}}), id="no wait between attempts"
        ),
    ],
)
def test_good_workflows_have_no_faults(good: WorkflowSpec) -> None:
    assert validate_workflow(good) == ()


@pytest.mark.parametrize(
    ("bad", "path", "message"),
    [
        pytest.param(spec(A, A), "spec.flows[1].name", "taken by spec.flows[0]", id="a name given twice"),
        pytest.param(
            spec({"name": "prepare"}, after("b", "prepar")),
            "spec.flows[1].dependsOn.targets[0]",
            'no flow is named "prepar"; did you mean "prepare"?',
            id="an unknown target, and the one that was meant",
        ),
        pytest.param(
            spec({"name": "train-b"}, after("train-c", "train-a")),
            "spec.flows[1].dependsOn.targets[0]",
            'no flow is named "train-a"; did you mean "train-b"?',
            id="an unknown target, and one that is not the flow itself",
        ),
        pytest.param(
            spec({"name": "other"}, after("train", "trian")),
            "spec.flows[1].dependsOn.targets[0]",
            'no flow is named "trian"; name one of spec.flows',
            id="an unknown target that is near to the flow itself alone",
        ),
        pytest.param(
            spec(probing("a", httpGetList=[{"taskName": "x", "port": 80}])),
            "spec.flows[0].dependsOn.probe.httpGetList[0].taskName",
            'no flow is named "x"',
            id="an unknown flow in an HTTP probe",
        ),
        pytest.param(
            spec(probing("a", tcpSocketList=[{"taskName": "x", "port": 80}])),
            "spec.flows[0].dependsOn.probe.tcpSocketList[0].taskName",
            'no flow is named "x"',
            id="an unknown flow in a TCP probe",
        ),
        pytest.param(
            spec(
                {
                    "name": "a",
                    "dependsOn": {"orGroups": [{"probe": {"taskStatusList": [{"taskName": "x", "phase": "Failed"}]}}]},
                }
            ),
            "spec.flows[0].dependsOn.orGroups[0].probe.taskStatusList[0].taskName",
            'no flow is named "x"',
            id="an unknown flow in the probe of a group",
        ),
        pytest.param(
            spec({"name": "a", "for": {"dependsOn": {"targets": ["x"]}}}),
            "spec.flows[0].for.dependsOn.targets[0]",
            'no flow is named "x"',
            id="an unknown target in for.dependsOn",
        ),
        pytest.param(
            spec({"name": "a", "patch": {"spec": {"args": ["{{flows.x.podIP}}"]}}}),
            "spec.flows[0].patch.spec.args[0]",
            'no flow is named "x"',
            id="an unknown flow in a pod address",
        ),
        pytest.param(
            spec(after("a", "a")), "spec.flows[0].dependsOn.targets[0]", "cannot wait for itself", id="its own name"
        ),
        pytest.param(
            spec(A, {"name": "b", "dependsOn": {"orGroups": [{"targets": ["a"]}, {"probe": {}}]}}),
            "spec.flows[1].dependsOn.orGroups[1]",
            "empty group",
            id="an empty group",
        ),
        pytest.param(
            spec(after("a", "c"), after("b", "a"), after("c", "b")),
            "spec.flows[0]",
            "a -> c -> b -> a",
            id="a cycle is shown",
        ),
        pytest.param(
            spec(probing("a", taskStatusList=[{"taskName": "b", "phase": "Failed"}]), after("b", "a")),
            "spec.flows[0]",
            "a -> b -> a",
            id="a cycle through a probe",
        ),
        pytest.param(
            spec({"name": "a", "patch": {"x": "{{flows.b.podIP}}"}}, after("b", "a")),
            "spec.flows[0]",
            "a -> b -> a",
            id="a cycle through a pod address",
        ),
        pytest.param(
            spec({"name": "a", "for": {"replicas": 10_000}}, B), "spec.flows", "10,001 tasks", id="too many tasks"
        ),
        pytest.param(
            spec({"name": "a", "finally": True}), "spec.flows", "every flow has finally: true", id="only finally flows"
        ),
        pytest.param(
            spec(after("a", "b"), {"name": "b", "finally": True}),
            "spec.flows[0].dependsOn.targets[0]",
            "only finally flows can wait for it",
            id="waiting for a finally flow",
        ),
        pytest.param(
            spec(A, {**probing("b", tcpSocketList=[{"taskName": "a", "port": 1}]), "finally": True}),
            "spec.flows[1].dependsOn.probe.tcpSocketList[0].taskName",
            "targets and taskStatusList only",
            id="a finally flow that probes",
        ),
        pytest.param(
            spec(A, {"name": "b", "finally": True}, successPolicy={"type": "Critical", "criticalFlows": ["b"]}),
            "spec.successPolicy.criticalFlows[0]",
            "cannot be critical",
            id="a critical finally flow",
        ),
        pytest.param(
            spec(A, successPolicy={"type": "Critical", "criticalFlows": ["x"]}),
            "spec.successPolicy.criticalFlows[0]",
            'no flow is named "x"',
            id="an unknown critical flow",
        ),
        pytest.param(
            spec(A, successPolicy={"type": "Critical"}),
            "spec.successPolicy.criticalFlows",
            "needs at least one flow",
            id="Critical without flows",
        ),
        pytest.param(
            spec(A, restart={"at": "1", "flows": ["x"]}),
            "spec.restart.flows[0]",
            'named "x"',
            id="an unknown restart flow",
        ),
        pytest.param(
            spec(A, parameters=[{"name": "p"}, {"name": "q"}, {"name": "p"}]),
            "spec.parameters[2].name",
            "given twice, first in spec.parameters[0]",
            id="a workflow parameter twice",
        ),
        pytest.param(
            spec({"name": "a", "parameters": [{"name": "p"}, {"name": "p"}]}),
            "spec.flows[0].parameters[1].name",
            "given twice",
            id="a flow parameter twice",
        ),
        pytest.param(
            spec({"name": "a", "patch": "x"}), "spec.flows[0].patch", "or a list", id="a patch that is a string"
        ),
        pytest.param(
            spec({"name": "a", "patch": [{"op": "add", "path": "/spec/x"}]}),
            "spec.flows[0].patch[0].value",
            "needs a value",
            id="a JSON Patch without a value",
        ),
        pytest.param(
            spec({"name": "a", "patch": {"spec": {"x": ["{{flow.nmae}}"]}}}),
            "spec.flows[0].patch.spec.x[0]",
            "{{flow.nmae}} is no variable",
            id="an unknown variable under ours",
        ),
        pytest.param(spec(A, timeout="999999999h"), "spec.timeout", "292 years", id="a duration beyond Go's"),
        pytest.param(
            spec(A, probing("b", httpGetList=[{"taskName": "a", "port": 1, "path": "/a b"}])),
            "spec.flows[1].dependsOn.probe.httpGetList[0].path",
            "percent-encoded",
            id="a blank in a path",
        ),
        pytest.param(
            spec(
                A,
                probing(
                    "b", httpGetList=[{"taskName": "a", "port": 1, "httpHeader": {"name": "X", "value": "a\r\nB: c"}}]
                ),
            ),
            "spec.flows[1].dependsOn.probe.httpGetList[0].httpHeader.value",
            "control characters",
            id="a header that would smuggle in another",
        ),
        pytest.param(
            spec(A, probing("b", httpGetList=[{"taskName": "a", "port": 1, "httpHeader": {"name": "X Y"}}])),
            "spec.flows[1].dependsOn.probe.httpGetList[0].httpHeader.name",
            "no name for a header",
            id="a blank in a header's name",
        ),
    ],
)
def test_one_fault(bad: WorkflowSpec, path: str, message: str) -> None:
    faults = validate_workflow(bad)
    assert [fault.path for fault in faults] == [path]
    assert message in faults[0].message


def test_all_faults_are_gathered() -> None:
    faults = validate_workflow(
        spec(
            after("a", "x"),
            after("b", "b", "y"),
            successPolicy={"type": "Critical"},
            restart={"at": "1", "flows": ["z"]},
        )
    )
    assert {fault.path for fault in faults} == {
        "spec.successPolicy.criticalFlows",
        "spec.restart.flows[0]",
        "spec.flows[0].dependsOn.targets[0]",
        "spec.flows[1].dependsOn.targets[0]",
        "spec.flows[1].dependsOn.targets[1]",
    }


def test_each_knot_of_flows_shows_one_cycle() -> None:
    faults = validate_workflow(
        spec(after("a", "b"), after("b", "a"), after("c", "d", "a"), after("d", "c"), after("e", "d"))
    )
    assert sorted(fault.value for fault in faults) == ["a -> b -> a", "c -> d -> c"]


def test_a_long_cycle_is_shown_in_part() -> None:
    ring = spec(*(after(f"f{at}", f"f{(at + 1) % 4_000}") for at in range(4_000)))
    (fault,) = validate_workflow(ring)
    assert "more" in fault.message
    assert len(fault.message) < 300


def layered(layers: int, *extra: dict[str, Any]) -> WorkflowSpec:
    flows = [
        after(f"f{layer}-{at}", *(f"f{layer - 1}-{other}" for other in range(3) if layer))
        for layer in range(layers)
        for at in range(3)
    ]
    return spec(*flows, *extra)


def test_layers_that_all_depend_on_all_before_are_walked_edge_by_edge() -> None:
    # 3^20 paths lead through this graph: a search that follows each of them never ends.
    assert validate_workflow(layered(20)) == ()


def test_at_most_50_faults_are_reported_and_the_others_counted() -> None:
    faults = validate_workflow(spec(*(after(f"f{at}", "x", "y") for at in range(100))))
    assert (len(faults), faults.others) == (50, 150)
    assert re.search(r"\(and 1\d\d more\)$", summary(faults))


def test_similar_names_are_looked_for_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_for: list[str] = []
    find = difflib.get_close_matches

    def counting(name: str, *arguments: Any, **options: Any) -> list[str]:
        looked_for.append(name)
        return find(name, *arguments, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counting)
    faults = validate_workflow(spec(*(after(f"prepare{at}", f"perpare{at}") for at in range(100))))
    assert len(looked_for) == 3
    assert "did you mean" in faults[2].message
    assert "did you mean" not in faults[3].message


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"k" * 100_000: ["{{index.x}}"] * 2_000}, id="a long key above many variables"),
        pytest.param(["{{index." + "x" * 100_000 + "}}"] * 60, id="long names"),
        pytest.param([{"op": "add", "path": "x" * 10_000, "value": 1}] * 60, id="long pointers"),
    ],
)
def test_messages_stay_short_whatever_the_manifest_has(patch: Any) -> None:
    faults = validate_workflow(spec({"name": "a", "patch": patch}))
    assert faults
    assert all(len(str(fault)) < 1_000 for fault in faults)


DEEP = "[" * 500 + "]" * 500


@pytest.mark.parametrize(
    ("field", "path"),
    [
        pytest.param(f'"patch": {DEEP}', "spec.flows[0].patch", id="a patch"),
        pytest.param(f'"parameters": {DEEP}', "spec.flows[0].parameters", id="parameters"),
        pytest.param(f'"dependsOn": {{"targets": {DEEP}}}', "spec.flows[0].dependsOn", id="dependsOn"),
        pytest.param(f'"for": {{"dependsOn": {{"x": {DEEP}}}}}', None, id="a field that does not exist is ignored"),
    ],
)
def test_what_is_nested_too_deeply_is_a_fault(field: str, path: str | None) -> None:
    read = msgspec.json.decode(f'{{"flows": [{{"name": "a", {field}}}]}}', type=WorkflowSpec)
    assert [fault.path for fault in validate_workflow(read)] == ([path] if path else [])


def test_a_chain_of_5000_flows_needs_no_deep_stack() -> None:
    chain = spec({"name": "f0"}, *(after(f"f{at}", f"f{at - 1}") for at in range(1, 5_000)))
    assert validate_workflow(chain) == ()


PARAM = {"template": {"spec": {"args": ["{{params.epochs}}"]}}}


EPOCHS = {"name": "epochs", "value": "3"}


@pytest.mark.parametrize(
    ("workflow", "used", "paths"),
    [
        pytest.param(
            spec(A), template(PARAM), ["spec.flows[0] (template a).jobSpec.template.spec.args[0]"], id="missing"
        ),
        pytest.param(spec(A), template(PARAM, parameters=[EPOCHS]), [], id="the template's default"),
        pytest.param(spec(A, parameters=[EPOCHS]), template(PARAM), [], id="the workflow's"),
        pytest.param(spec({"name": "a", "parameters": [EPOCHS]}), template(PARAM), [], id="the flow's"),
        pytest.param(
            spec(A),
            template(PARAM, parameters=[{"name": "epochs"}]),
            ["spec.flows[0] (template a).jobSpec.template.spec.args[0]"],
            id="required by the template",
        ),
        pytest.param(
            spec({"name": "a", "parameters": [EPOCHS]}),
            template(PARAM, parameters=[{"name": "epochs"}]),
            [],
            id="required by the template, and given by the flow",
        ),
        pytest.param(
            spec({"name": "a", "parameters": [{"name": "epochs"}]}, parameters=[EPOCHS]),
            template(PARAM),
            [],
            id="the flow names it without a value, so that the workflow's counts",
        ),
        pytest.param(
            spec({"name": "a", "patch": {"x": "{{params.epochs}}"}}),
            template(),
            ["spec.flows[0].patch.x"],
            id="in the patch",
        ),
        pytest.param(
            spec(A),
            template({"x": "{{flows.b.podIP}}"}),
            ["spec.flows[0] (template a).jobSpec.x"],
            id="the address of a flow that is not there",
        ),
        pytest.param(
            spec(A, after("b", "a")),
            template({"x": "{{flows.b.podIP}}"}),
            ["spec.flows[0]"],
            id="a cycle through a template",
        ),
        pytest.param(
            spec({"name": "a", "patch": [{"op": "remove", "path": "/spec/nope"}]}),
            template(),
            ["spec.flows[0].patch[0]"],
            id="a JSON Patch that does not apply",
        ),
        pytest.param(
            spec({"name": "a", "patch": [{"op": "remove", "path": "/spec/{{index}}"}]}),
            template(),
            ["spec.flows[0].patch[0]"],
            id="a JSON Patch whose way depends on a variable is tried at index 0",
        ),
        pytest.param(
            spec({"name": "a", "patch": [{"op": "remove", "path": "/spec/x0"}]}),
            template({"x{{index}}": 1}),
            [],
            id="nor one over keys that depend on a variable",
        ),
        pytest.param(spec({"name": "a", "template": "gone"}), template(), [], id="a missing template is passed over"),
        pytest.param(
            spec({"name": "a", "parameters": [{"name": "p", "value": "{{params.q}}"}]}, parameters=[]),
            template({"x": "{{params.p}}"}),
            ["spec.flows[0].parameters[0].value"],
            id="a value that uses what no outer scope gives",
        ),
        pytest.param(
            spec(A, after("b", "a", template="a"), parameters=[{"name": "p", "value": "{{params.q}}"}]),
            template({"x": "{{params.p}}"}),
            ["spec.parameters[0].value"],
            id="the same in the workflow, once for all flows",
        ),
        pytest.param(
            spec({"name": "a", "parameters": [{"name": "p", "value": "{{params.q}}"}]}),
            template({"x": "{{index}}"}),
            [],
            id="a value that nothing uses",
        ),
        pytest.param(
            spec(A),
            template({"x": "{{params.p}}"}, parameters=[{"name": "p", "value": "{{flows.b.podIP}}"}]),
            ["spec.flows[0] (template a).parameters[0].value"],
            id="an address in a default of a flow that is not there",
        ),
        pytest.param(
            spec(A, after("b", "a", template="c"), parameters=[{"name": "p", "value": "{{flows.b.podIP}}"}]),
            template({"x": "{{params.p}}"}),
            ["spec.flows[0]"],
            id="a cycle through the value of a parameter",
        ),
        pytest.param(
            spec(
                {"name": "a", "parameters": [{"name": "p", "value": "none"}]},
                after("b", "a", template="c"),
                parameters=[{"name": "p", "value": "{{flows.b.podIP}}"}],
            ),
            template({"x": "{{params.p}}"}),
            [],
            id="a value that another one replaces makes no cycle",
        ),
    ],
)
def test_with_templates(workflow: WorkflowSpec, used: WorkTemplateSpec, paths: list[str]) -> None:
    assert [fault.path for fault in validate_with_templates(read(workflow, {"a": used}))] == paths


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        pytest.param(template({"a": "{{index.x}}"}), "spec.jobSpec.a", id="an unknown variable in jobSpec"),
        pytest.param(
            template(metadata={"labels": {"a": "{{attempts}} {{attempt.x}}"}}),
            "spec.metadata.labels.a",
            id="an unknown variable in metadata",
        ),
        pytest.param(template(parameters=[{"name": "p"}, {"name": "p"}]), "spec.parameters[1].name", id="twice"),
        pytest.param(
            template(parameters=[{"name": "p", "value": "{{params.q}}"}, {"name": "q"}]),
            "spec.parameters[0].value",
            id="a default that uses another parameter",
        ),
        pytest.param(
            template(parameters=[{"name": "p", "value": "{{flow.nme}}"}]), "spec.parameters[0].value", id="no variable"
        ),
        pytest.param(
            template(gvr={"version": "v1", "resource": "Job"}), "spec.gvr.resource", id="a kind for a resource"
        ),
        pytest.param(
            template(gvr={"version": "batch/v1", "resource": "jobs"}),
            "spec.gvr.version",
            id="an apiVersion for a version",
        ),
        pytest.param(
            template(gvr={"version": "V1", "resource": "pods"}), "spec.gvr.version", id="a version in capitals"
        ),
        pytest.param(template(gvr={"version": "v1\n", "resource": "pods"}), "spec.gvr.version", id="a line break"),
        pytest.param(template(gvr={"version": "v1", "resource": "jobs "}), "spec.gvr.resource", id="a blank"),
        pytest.param(
            template(gvr={"version": "v1", "resource": "jobs.batch"}),
            "spec.gvr.resource",
            id="a resource with its group",
        ),
        pytest.param(
            template(gvr={"group": "..", "version": "v1", "resource": "x"}), "spec.gvr.group", id="dots alone"
        ),
        pytest.param(
            template(gvr={"group": "Batch", "version": "v1", "resource": "jobs"}),
            "spec.gvr.group",
            id="a group in capitals",
        ),
    ],
)
def test_faults_of_a_template(bad: WorkTemplateSpec, path: str) -> None:
    assert [fault.path for fault in validate_template(bad)] == [path]


def test_a_good_template_has_no_faults() -> None:
    assert validate_template(template({"a": "{{params.any}} {{flows.x.podIP}} {{{{index.x}}}} {{other}}"})) == ()


def test_foreign_variables_are_reported_with_their_place() -> None:
    assert [fault.path for fault in foreign_variables({"a": ["{{index}}", "{{x}}"]}, "spec.jobSpec")] == [
        "spec.jobSpec.a[1]"
    ]


def test_a_summary_fits_and_counts_what_it_leaves_out() -> None:
    faults = [Fault(f"spec.flows[{at}]", "x" * 50) for at in range(100)]
    text = summary(faults, 1_024)
    assert len(text) <= 1_024
    shown = text.count("spec.flows")
    assert text.endswith(f"(and {100 - shown} more)")
    assert summary(faults[:1]) == f"spec.flows[0]: {'x' * 50}"
    assert len(summary([Fault("spec", "y" * 5_000)], 1_024)) <= 1_024


@pytest.mark.parametrize(
    ("where", "message"),
    [
        pytest.param({"value": "{{params.p}}"}, "which is itself", id="itself"),
        pytest.param({"value": "{{flows.nope.podIP}}"}, "no flow is named", id="the address of no flow"),
        pytest.param({"value": "{{workflow.nmae}}"}, 'did you mean "workflow.name"?', id="no variable"),
        pytest.param({"value": "{{index | upper}}"}, "no conversion is named", id="no conversion"),
    ],
)
def test_a_value_that_can_never_be_made_is_a_fault_of_the_workflow(where: dict[str, str], message: str) -> None:
    parameters = [{"name": "p", **where}]
    for bad, path in (
        (spec(A, parameters=parameters), "spec.parameters[0].value"),
        (spec({"name": "a", "parameters": parameters}), "spec.flows[0].parameters[0].value"),
    ):
        (found,) = validate_workflow(bad)
        assert found.path == path
        assert message in found.message
        assert validate_workflow(bad, with_patches=False) == (), "a workflow that runs already is not judged by it"


def test_parameters_that_nothing_uses_are_named_with_the_nearest_one() -> None:
    workflow = spec(
        {"name": "a", "parameters": [{"name": "epoch", "value": "1"}, {"name": "epochs", "value": "{{params.base}}"}]},
        {"name": "b", "template": "a", "patch": {"spec": {"y": "{{params.inpatch}}"}}},
        parameters=[{"name": name, "value": "1"} for name in ("base", "inpatch", "idle", "epochs")],
    )
    found = unused(read(workflow, {"a": template({"x": "{{params.epochs}}"})}))
    assert [(fault.path, fault.value) for fault in found] == [
        ("spec.flows[0].parameters[0].name", "epoch"),
        ("spec.parameters[2].name", "idle"),
    ]
    assert 'did you mean "epochs"?' in found[0].message
    assert unused(read(workflow)) == (), "without templates nothing is known"
