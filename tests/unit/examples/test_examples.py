"""Every example decodes, is valid, renders, and says of itself what will happen."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import msgspec
import pytest

from hack.cluster.annotations import ANNOTATIONS, EXIT_CODE, FAIL_UNTIL_ATTEMPT, PREFIX, SERVE
from pkg.apis.flow.v1alpha1 import validation
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Flow
from pkg.controllers.workflow.planner.render.render import render
from pkg.workloads import pod_templates, rules_for
from tests.unit.examples.loading import FILES, FOLDER, Example, load, unknown_fields

EXAMPLES = {name: load(name) for name in FILES}
FLOWS = [
    pytest.param(example, flow, id=f"{name}: {flow.name}")
    for name, example in EXAMPLES.items()
    for flow in example.workflow.spec.flows
]
each_example = pytest.mark.parametrize("name", FILES)
each_flow = pytest.mark.parametrize(("example", "flow"), FLOWS)


def _render(example: Example, flow: Flow, index: int, attempt: int) -> dict[str, Any]:
    template = example.template_of(flow)
    gvr = template.spec.gvr.gvr
    kind = {"jobs": "Job", "deployments": "Deployment"}[gvr.resource]
    workflow = msgspec.structs.replace(
        example.workflow, metadata=msgspec.structs.replace(example.workflow.metadata, uid="0000-1111")
    )
    body = render(
        workflow,
        flow,
        template,
        index=index,
        attempt=attempt,
        is_renamed=False,
        pod_ips={other.name: "127.64.0.9" for other in example.workflow.spec.flows},
        outputs=example.outputs,
        kind=kind,
        row=rules_for(gvr),
    ).body
    made: dict[str, Any] = msgspec.json.decode(body)
    return made


def test_no_example_is_left_out() -> None:
    first_ones = {path.stem for path in FOLDER.glob("*.yaml") if path.stem[0].isdigit()}
    assert first_ones <= set(FILES)


@each_example
def test_it_explains_itself_first(name: str) -> None:
    header = EXAMPLES[name].text.split("\napiVersion:")[0]
    assert all(line.startswith("#") for line in header.splitlines())
    assert "# Ends: workflow Succeeded" in header
    for flow in EXAMPLES[name].workflow.spec.flows:
        assert re.search(rf"\b{flow.name}\b|{flow.name[:-2]}-a, -b, -c", header), (
            f"the header does not name {flow.name}"
        )


@each_example
def test_it_has_no_field_that_the_api_does_not_know(name: str) -> None:
    example = EXAMPLES[name]
    for document in example.documents:
        if document["apiVersion"] == "v1":
            continue  # what the example needs besides
        is_workflow = document["kind"] == "Workflow"
        owner = example.workflow if is_workflow else example.templates[document["metadata"]["name"]]
        assert unknown_fields(owner.spec, document["spec"], "spec") == []
        assert document["metadata"]["namespace"] == "default"


@each_example
def test_it_is_valid(name: str) -> None:
    example = EXAMPLES[name]
    specs = {key: template.spec for key, template in example.templates.items()}
    assert validation.validate_workflow(example.workflow.spec) == ()
    assert validation.validate_with_templates(validation.read(example.workflow.spec, specs)) == ()
    for spec in specs.values():
        assert validation.validate_template(spec) == ()
        assert validation.foreign_variables(spec.job_spec) == ()


def test_all_can_be_applied_at_once() -> None:
    names = [(d["kind"], d["metadata"]["name"]) for example in EXAMPLES.values() for d in example.documents]
    assert len(names) == len(set(names))


@each_example
def test_it_uses_every_template_it_brings(name: str) -> None:
    example = EXAMPLES[name]
    assert {flow.template_name for flow in example.workflow.spec.flows} == set(example.templates)


@each_example
def test_it_says_how_every_flow_ends(name: str) -> None:
    example = EXAMPLES[name]
    expected = example.expected
    assert expected.keys() == {"phase", "flows", "attempts"}
    assert WorkflowPhase(expected["phase"]) is WorkflowPhase.SUCCEEDED
    assert list(expected["flows"]) == [flow.name for flow in example.workflow.spec.flows]
    assert {Phase(phase) for phase in expected["flows"].values()} <= {Phase.SUCCEEDED, Phase.FAILED, Phase.SKIPPED}
    assert expected["attempts"].keys() <= expected["flows"].keys()


@each_flow
def test_a_pod_behaves_as_its_annotations_may_say(example: Example, flow: Flow) -> None:
    known = {annotation.name: annotation for annotation in ANNOTATIONS}
    row = rules_for(example.template_of(flow).spec.gvr.gvr)
    for index in range(flow.replicas):
        (template,) = pod_templates(row, _render(example, flow, index, 0))
        simulated = {k: v for k, v in template["metadata"]["annotations"].items() if k.startswith(PREFIX)}
        assert simulated
        for key, value in simulated.items():
            assert re.fullmatch(known[key].pattern, value), f"{key}: {value!r} is not {known[key].expected}"


@each_flow
def test_a_pod_runs_busybox_and_leaves_retries_to_the_workflow(example: Example, flow: Flow) -> None:
    spec = _render(example, flow, 0, 0)["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    assert container["image"] == "busybox:1.36"
    if example.template_of(flow).spec.gvr.resource == "jobs":
        assert spec["backoffLimit"] == 0
        assert spec["template"]["spec"]["restartPolicy"] == "Never"


@each_flow
def test_labels_stay_texts(example: Example, flow: Flow) -> None:
    body = _render(example, flow, 0, 0)
    labels = [body["metadata"]["labels"], body["spec"]["template"]["metadata"]["labels"]]
    assert all(isinstance(value, str) for part in labels for value in part.values())


@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no sh to run the commands")
@each_flow
def test_the_command_ends_as_the_annotations_say(example: Example, flow: Flow) -> None:
    """The real command and the simulated pod agree at every attempt, and the attempts expected are those it takes."""
    ends = []
    most = 1 if flow.retry is None else flow.retry.max_retries + 1
    for index in range(flow.replicas):
        for attempt in range(most):
            template = _render(example, flow, index, attempt)["spec"]["template"]
            annotations = template["metadata"]["annotations"]
            if SERVE in annotations or "SERVER" in str(template["spec"]["containers"]):
                pytest.skip("a server, or a client of one, needs the network of its pod")
            assert not {EXIT_CODE, FAIL_UNTIL_ATTEMPT} <= annotations.keys(), "the second one decides alone"
            is_early = attempt < int(annotations.get(FAIL_UNTIL_ATTEMPT, "0"))
            simulated = 1 if is_early else int(annotations.get(EXIT_CODE, "0"))
            assert (_run(template["spec"]["containers"][0]) != 0) is (simulated != 0)
            if simulated == 0:
                break
        ends.append((attempt + 1, simulated))
    expected = example.expected
    if flow.name in expected["attempts"]:
        assert expected["attempts"][flow.name] == max(attempts for attempts, _ in ends)
        assert (expected["flows"][flow.name] == "Failed") is any(code for _, code in ends)


def _run(container: dict[str, Any]) -> int:
    """The exit code of a container's command run here, where nothing sleeps."""
    shell, flag, script = container["command"]
    env = {item["name"]: item["value"] for item in container["env"]}
    done = subprocess.run(
        [shell, flag, f"sleep() {{ :; }}\n{script}"],
        env={**env, "PATH": "/usr/bin:/bin", "TERMINATION_LOG": "/dev/null"},
        capture_output=True,
        timeout=10,
        check=False,
    )
    assert done.stderr == b""
    return done.returncode
