"""The jobs that `render` shows are those of the controller's renderer, with words where only a run knows."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.schema import Node, Schema, Type
from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplate
from pkg.apis.meta import GVR
from pkg.kinds.kind import Kind
from pkg.views.rendering import UID, CannotRender, Job, is_unknown, jobs_of
from pkg.workloads import rules_for
from tests.manifests import decoded

JOBS = GVR("batch", "v1", "jobs")


def template(name: str = "step", gvr: GVR = JOBS, **spec: Any) -> WorkTemplate:
    resource = {"group": gvr.group, "version": gvr.version, "resource": gvr.resource}
    return decoded({"metadata": {"name": name}, "spec": {"gvr": resource, "jobSpec": {}, **spec}}, WorkTemplate)


def workflow(*flows: dict[str, Any], metadata: dict[str, str] | None = None, **spec: Any) -> Workflow:
    listed = [{"template": "step", **flow} for flow in flows]
    meta = metadata or {"name": "w", "namespace": "ns"}
    return decoded({"metadata": meta, "spec": {"flows": listed, **spec}}, Workflow)


def jobs(of: Workflow, *templates: WorkTemplate, **asked: Any) -> list[Job]:
    return list(jobs_of(of, {one.metadata.name: one for one in templates or (template(),)}, **asked))


A = {"name": "a"}
MANY = {"name": "m", "for": {"replicas": 4}}


@pytest.mark.parametrize(
    ("of", "asked", "names"),
    [
        pytest.param(workflow(A, MANY), {}, ["w-a", "w-m-0", "w-m-1", "w-m-2", "w-m-3"], id="all"),
        pytest.param(workflow(A, MANY), {"flows": ["m"]}, ["w-m-0", "w-m-1", "w-m-2", "w-m-3"], id="a flow"),
        pytest.param(workflow(A, MANY), {"indexes": (0, 3)}, ["w-m-0", "w-m-3"], id="indexes alone"),
        pytest.param(workflow(A, MANY), {"flows": ["m"], "indexes": (1,), "attempt": 2}, ["w-m-1-r2"], id="an attempt"),
        pytest.param(workflow({"name": "n", "for": {"replicas": 0}}, A), {}, ["w-a"], id="a flow without tasks"),
        pytest.param(workflow({"name": "i", "for": {"items": ["x", {"k": 1}]}}), {}, ["w-i-0", "w-i-1"], id="items"),
        pytest.param(workflow(A, metadata={"generateName": "g-"}), {}, ["g-xxxxx-a"], id="a generated name"),
    ],
)
def test_which_jobs(of: Workflow, asked: dict[str, Any], names: list[str]) -> None:
    found = jobs(of, **asked)
    assert [(job.name, job.fault) for job in found] == [(name, "") for name in names]


@pytest.mark.parametrize(
    ("of", "asked", "message"),
    [
        pytest.param(workflow(A), {"flows": ["b"]}, 'no flow is named "b"; there are a', id="a flow that is not there"),
        pytest.param(
            workflow(A, MANY), {"indexes": (4,)}, "has an index 4; the highest is 3", id="an index that is not there"
        ),
        pytest.param(
            workflow({**A, "dependsOn": {"targets": ["x"]}}),
            {},
            "the spec can never run: spec.flows[0]",
            id="a faulty spec",
        ),
    ],
)
def test_what_cannot_be_rendered(of: Workflow, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(CannotRender) as caught:
        jobs(of, **asked)
    assert message in str(caught.value)


def test_faults_of_one_job_leave_the_others() -> None:
    found = jobs(
        workflow(
            A,
            {"name": "b", "template": "gone"},
            {**A, "name": "c", "patch": [{"op": "test", "path": "/spec", "value": 1}]},
        )
    )
    assert [(job.flow, bool(job.fault)) for job in found] == [("a", False), ("b", True), ("c", True)]
    assert found[1].fault == "WorkTemplate gone is missing"
    assert found[2].fault.startswith("patch[0]")


def test_what_only_a_run_knows_is_in_angle_brackets() -> None:
    text = {"text": "{{workflow.uid}} at {{flows.a.podIP}}"}
    found = jobs(
        workflow({"name": "a", "for": {"replicas": 2}}, {"name": "b", "template": "user", "for": {"replicas": 2}}),
        template(),
        template("user", jobSpec=text),
    )
    assert found[-1].tree()["spec"]["text"] == f"{UID} at <address of the lead pod of flow a, index 1>"
    assert found[-1].tree()["metadata"]["ownerReferences"][0]["uid"] == UID
    assert is_unknown(found[-1].body.decode())
    assert not is_unknown("<html> {{x}} <uid>")


VALUES: dict[str, Any] = {
    "parameters": [{"name": "n", "value": "5"}],
    "jobSpec": {"n": "{{params.n}}", "t": "{{flow.name}}"},
}


@pytest.mark.parametrize(
    ("schema", "value", "is_noted"),
    [
        pytest.param(None, 5, True, id="without the cluster: by the look of the text, which may be wrong"),
        pytest.param(Schema(), 5, False, id="the cluster has no schema: exactly so"),
        pytest.param(
            Schema(Node(Type.OBJECT, {"spec": Node(Type.OBJECT, {"n": Node(Type.STRING), "t": Node(Type.STRING)})})),
            "5",
            False,
            id="by the schema of the cluster",
        ),
    ],
)
def test_types(schema: Schema | None, value: object, is_noted: bool) -> None:
    kinds = {} if schema is None else {JOBS: Kind("Job", rules_for(JOBS), schema=schema)}
    (job,) = jobs(workflow(A), template(**VALUES), kinds=kinds)
    assert job.tree()["spec"]["n"] == value
    text = "text in the cluster if the schema that it serves says so (--server asks it): spec.n"
    assert job.notes == ((text,) if is_noted else ())


def test_text_that_can_be_nothing_else_is_not_noted() -> None:
    (job,) = jobs(workflow(A), template(jobSpec={"t": "{{flow.name}}"}))
    assert job.notes == ()


def test_a_kind_without_a_row_is_known_to_the_cluster_alone() -> None:
    gvr = GVR("example.com", "v1", "things")
    (job,) = jobs(workflow(A), template(gvr=gvr))
    assert job.tree()["kind"] == "<kind of things.v1.example.com>"
    (job,) = jobs(workflow(A), template(gvr=gvr), kinds={gvr: Kind("Thing", rules_for(gvr))})
    assert job.tree()["kind"] == "Thing"


def test_removed_fields_are_noted() -> None:
    (job,) = jobs(workflow(A), template(jobSpec={"ttlSecondsAfterFinished": 5}))
    assert job.notes == ("spec.ttlSecondsAfterFinished is removed: jobRetainPolicy cleans up",)


WHEN = "outputs.train.score > '0.5'"
TRAIN = {"name": "train", "outputs": [{"name": "score", "from": {"path": "status.x"}}]}
READS = {
    "name": "b",
    "when": WHEN,
    "patch": {"spec": {"text": "{{flows.train.outputs.score}}"}},
}


def test_outputs_are_words_unless_they_are_given() -> None:
    of = workflow(TRAIN, READS)
    *_, job = jobs(of)
    assert job.tree()["spec"]["text"] == "<output score of flow train>"
    assert is_unknown(job.body.decode())
    assert job.notes[0] == f"made only if this is true: {WHEN}"
    *_, job = jobs(of, values={"flows.train.outputs.score": "high"})
    assert job.tree()["spec"]["text"] == "high"


def test_an_output_that_has_to_be_a_number_must_be_given() -> None:
    of = workflow(TRAIN, {"name": "b", "patch": {"spec": {"n": "{{flows.train.outputs.score | int}}"}}})
    *_, job = jobs(of)
    assert job.fault.endswith(" (--set gives such a value)")
    *_, job = jobs(of, values={"flows.train.outputs.score": "7"})
    assert job.tree()["spec"]["n"] == 7


def test_a_template_in_a_flow_and_a_kind_without_spec() -> None:
    gvr = {"version": "v1", "resource": "configmaps"}
    flow = {"name": "settings", "templateSpec": {"gvr": gvr, "jobSpec": {"data": {"a": "{{flow.name}}"}}}}
    made = decoded({"metadata": {"name": "w", "namespace": "ns"}, "spec": {"flows": [flow]}}, Workflow)
    (job,) = jobs(made)
    assert (job.tree()["kind"], job.tree()["data"]) == ("ConfigMap", {"a": "settings"})


LIST = {"name": "list", "outputs": [{"name": "files", "from": {"path": "status.x"}}]}
EACH = {
    "name": "each",
    "for": {"itemsFrom": "{{flows.list.outputs.files}}"},
    "patch": {"spec": {"text": "{{item}} of {{replicas}}"}},
}


def test_items_that_a_run_finds_must_be_given() -> None:
    of = workflow(LIST, EACH)
    *_, job = jobs(of)
    assert job.fault == """only a run knows its items; --set flows.list.outputs.files='["a", "b"]' gives them"""
    made = jobs(of, values={"flows.list.outputs.files": '["x", "y"]'}, flows=["each"])
    assert [(job.name, job.tree()["spec"]["text"]) for job in made] == [("w-each-0", "x of 2"), ("w-each-1", "y of 2")]
    with pytest.raises(CannotRender, match="the items of flow each must be a JSON list"):
        jobs(of, values={"flows.list.outputs.files": "x"})


def test_a_flow_that_deletes_an_object_makes_none() -> None:
    assert Job("a", None, JOBS, "settings").deletes
    assert not Job("a", None, JOBS, fault="x").deletes
    assert not Job("a", None, JOBS, "w-a", b"{}").deletes
