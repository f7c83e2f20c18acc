"""Which tasks a retry runs again: the planner's own rules, asked before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplate
from pkg.apis.meta import GVR, Job
from pkg.views.retries import Again, CannotRetry, Retry, _known_parameters, plan_retry, service_kinds
from tests.manifests import decoded

P = Phase
PARAMETERS = [{"name": "x", "value": "1"}, {"name": "kept", "value": "as it was"}]
DEPLOYMENTS = GVR("apps", "v1", "deployments")


def template(name: str, group: str = "batch", resource: str = "jobs", text: str = "") -> WorkTemplate:
    spec = {"gvr": {"group": group, "version": "v1", "resource": resource}, "jobSpec": {"text": text}}
    return decoded({"metadata": {"name": name, "namespace": "ns"}, "spec": spec}, WorkTemplate)


TEMPLATES_SPEC = {"gvr": {"group": "batch", "version": "v1", "resource": "jobs"}, "jobSpec": {}}
TEMPLATES = {one.metadata.name: one for one in (template("step"), template("serve", "apps", "deployments"))}


def flow(name: str, *after: str, **fields: Any) -> dict[str, Any]:
    depends = {"dependsOn": {"targets": list(after)}} if after else {}
    return {"name": name, "template": "step", **depends, **fields}


def ended(phase: str, flows: list[dict[str, Any]], phases: dict[str, Any], **more: Any) -> Workflow:
    """A finished workflow. phases: of each flow; for one with `for`, index ranges by phase."""
    status = []
    for name, was in phases.items():
        if isinstance(was, str):
            status.append({"name": name, "phase": was, "attempts": int(was not in ("Skipped",))})
        else:
            status.append({"name": name, "phase": "Failed" if "failed" in was else "Succeeded", "attempts": 1, **was})
    meta = {"name": "w", "namespace": "ns", "uid": "u", "resourceVersion": "7", **more.pop("metadata", {})}
    record = more.pop("record", {})
    spec = {"flows": flows, **more}
    return decoded(
        {"metadata": meta, "spec": spec, "status": {"phase": phase, "flows": status, "record": record}}, Workflow
    )


CHAIN = [flow("a"), flow("b", "a", **{"for": {"replicas": 4}}), flow("c", "b"), flow("end", **{"finally": True})]
FAILED = ended(
    "Failed", CHAIN, {"a": "Succeeded", "b": {"succeeded": "0,2", "failed": "1,3"}, "c": "Skipped", "end": "Succeeded"}
)
DONE = ended("Succeeded", CHAIN, {"a": "Succeeded", "b": {"succeeded": "0-3"}, "c": "Succeeded", "end": "Succeeded"})
END = Again("end", P.SUCCEEDED, 1)


@pytest.mark.parametrize(
    ("workflow", "flows", "again"),
    [
        pytest.param(
            FAILED,
            (),
            (Again("b", P.FAILED, 2, "1,3"), Again("c", P.SKIPPED, 1), END),
            id="what failed and was skipped, and finally flows",
        ),
        pytest.param(
            FAILED,
            ("b",),
            (Again("b", P.FAILED, 2, "1,3"), Again("b", P.SUCCEEDED, 2, "0,2"), Again("c", P.SKIPPED, 1), END),
            id="a named flow: all of its tasks, and all that depend on it",
        ),
        pytest.param(
            DONE,
            ("b",),
            (Again("b", P.SUCCEEDED, 4, "0-3"), Again("c", P.SUCCEEDED, 1), END),
            id="a named flow after success",
        ),
        pytest.param(
            ended("Failed", [flow("a"), flow("b", "a")], {"a": "Cancelled", "b": "Skipped"}, shutdown="Terminate"),
            (),
            (Again("a", P.CANCELLED, 1), Again("b", P.SKIPPED, 1)),
            id="after terminate",
        ),
        pytest.param(
            ended("Succeeded", [flow("a"), flow("new", "a")], {"a": "Succeeded"}),
            (),
            (Again("new", None, 1),),
            id="a flow that is new in the spec",
        ),
        pytest.param(
            ended("Succeeded", [flow("b", **{"for": {"replicas": 3}})], {"b": {"succeeded": "0-1"}}),
            (),
            (Again("b", None, 1, "2"),),
            id="an index that is new in the spec",
        ),
    ],
)
def test_what_runs_again(workflow: Workflow, flows: tuple[str, ...], again: tuple[Again, ...]) -> None:
    assert plan_retry(workflow, "t", TEMPLATES, flows=flows).again == again


@pytest.mark.parametrize(
    ("workflow", "flows", "message"),
    [
        pytest.param(
            DONE, (), "w Succeeded, and nothing of it is left to run; name a flow with --flow", id="all succeeded"
        ),
        pytest.param(
            FAILED,
            ("x",),
            "workflow w has no flow 'x'; there are a, b, c, end",
            id="a flow that is not there",
        ),
        pytest.param(ended("Running", CHAIN, {}), (), "w has not ended (Running)", id="one that runs"),
        pytest.param(
            ended("Terminating", CHAIN, {}, shutdown="Stop"),
            (),
            "w has not ended (Terminating)",
            id="one that is being stopped",
        ),
        pytest.param(
            ended("Failed", CHAIN, {}, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
            (),
            "w is being deleted",
            id="one under deletion",
        ),
        pytest.param(
            ended("Failed", [flow("a", "b")], {"a": "Failed"}),
            (),
            "w can never run as its spec is now: spec.flows[0]",
            id="a broken spec",
        ),
    ],
)
def test_what_cannot_be_retried(workflow: Workflow, flows: tuple[str, ...], message: str) -> None:
    with pytest.raises(CannotRetry) as caught:
        plan_retry(workflow, "t", TEMPLATES, flows=flows)
    assert str(caught.value).startswith(message)


SERVICE = ended("Failed", [flow("web", template="serve"), flow("test", "web")], {"web": "Succeeded", "test": "Failed"})


def service_job(attempt: int) -> Job:
    owner = {
        "apiVersion": "flow.workflow.sh/v1alpha1",
        "kind": "Workflow",
        "name": "w",
        "uid": "u",
        "controller": True,
    }
    labels = {
        "flow.workflow.sh/workflow": "w",
        "flow.workflow.sh/workflow-uid": "u",
        "flow.workflow.sh/flow": "web",
        "flow.workflow.sh/attempt": str(attempt),
    }
    meta = {"name": "w-web", "namespace": "ns", "uid": "j", "labels": labels, "ownerReferences": [owner]}
    return decoded({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta}, Job)


def test_a_service_whose_job_is_gone_runs_again() -> None:
    assert service_kinds(SERVICE, TEMPLATES) == {DEPLOYMENTS}
    test = Again("test", P.FAILED, 1)
    assert plan_retry(SERVICE, "t", TEMPLATES).again == (Again("web", P.SUCCEEDED, 1), test)
    assert plan_retry(SERVICE, "t", TEMPLATES, [(DEPLOYMENTS, service_job(0))]).again == (test,)


def planned(**changes: Any) -> Retry:
    workflow = ended("Failed", [flow("a")], {"a": "Failed"}, parameters=PARAMETERS, shutdown="Stop")
    templates = {"step": template("step", text="{{params.x}}")}
    return plan_retry(workflow, "token", templates, **changes)


def test_the_patch_changes_the_spec_alone_and_names_what_it_was_planned_for() -> None:
    assert planned().patch == {
        "metadata": {"uid": "u", "resourceVersion": "7"},
        "spec": {"restart": {"at": "token", "flows": None}, "shutdown": None},
    }
    assert planned(flows=("a",)).patch["spec"]["restart"] == {"at": "token", "flows": ["a"]}


def test_parameters_replace_values_in_their_list() -> None:
    found = planned(parameters={"x": "2", "y": "3"})
    assert found.patch["spec"]["parameters"] == [
        {"name": "x", "value": "2"},
        {"name": "kept", "value": "as it was"},
        {"name": "y", "value": "3"},
    ]
    assert found.unused == ("y",)


def test_the_parameters_that_can_be_given_are_those_of_the_workflow_and_of_its_templates() -> None:
    of = ended("Failed", [flow("a"), flow("b"), flow("c", template="gone")], {"a": "Failed"}, parameters=PARAMETERS)
    spec = {**TEMPLATES_SPEC, "parameters": [{"name": "x", "value": "5"}, {"name": "seconds", "value": "7"}]}
    known = {"step": decoded({"metadata": {"name": "step", "namespace": "ns"}, "spec": spec}, WorkTemplate)}
    assert _known_parameters(of, known) == {"x": "1", "kept": "as it was", "seconds": None}
    given = planned(parameters={"x": "2"}).parameters
    assert given == {"x": "1", "kept": "as it was"}, "values before the retry"


LIST = flow("list", outputs=[{"name": "files", "from": {"path": "status.x"}}])
EACH = flow("each", **{"for": {"itemsFrom": "{{flows.list.outputs.files}}"}})


@pytest.mark.parametrize(
    ("flows", "again"),
    [
        pytest.param((), (Again("each", P.FAILED, 1, "1"),), id="the number of items stays while some task stays"),
        pytest.param(
            ("list",),
            (Again("list", P.SUCCEEDED, 1), Again("each", P.FAILED, 1, "1"), Again("each", P.SUCCEEDED, 2, "0,2")),
            id="the list is made anew",
        ),
    ],
)
def test_items_that_the_run_found(flows: tuple[str, ...], again: tuple[Again, ...]) -> None:
    record = {"flows": [{"flows": "1", "tasks": 3}]}
    phases = {"list": "Succeeded", "each": {"succeeded": "0,2", "failed": "1"}}
    of = ended("Failed", [LIST, EACH], phases, record=record)
    assert plan_retry(of, "t", TEMPLATES, flows=flows).again == again
