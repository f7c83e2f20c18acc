"""The object of one attempt: parameters over defaults, variables, patch, and what every job of ours carries."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Node, Schema, Type
from pkg.apis.flow.v1alpha1.substitution import SchemaNeeded
from pkg.apis.flow.v1alpha1.types import Flow, TemplateGVR, Workflow, WorkflowSpec, WorkTemplate, WorkTemplateSpec
from pkg.apis.meta import ObjectMeta
from pkg.controllers.workflow.planner.render.render import NotAllowedError, Rendered, RenderError, render
from pkg.workloads import rules_for
from tests.manifests import decoded

UID = "6a3ef3c2-97a3-4b0e-9d5c-000000000000"
JOB: dict[str, Any] = {
    "backoffLimit": 0,
    "template": {
        "spec": {
            "containers": [{"name": "main", "image": "busybox:1.36", "args": ["{{params.epochs}}", "{{index}}"]}],
        }
    },
}


def made(
    flow: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    template: dict[str, Any] | None = None,
    *,
    kind: str = "Job",
    workflow: str = "w",
    **arguments: Any,
) -> Rendered:
    """Render with everything left out filled in; `template` is merged over a batch Job."""
    gvr = {"group": "batch", "version": "v1", "resource": "jobs"}
    raw_flow = {"name": "a", **(flow or {})}
    template_spec = {"gvr": gvr, "jobSpec": JOB, "parameters": [{"name": "epochs", "value": "3"}], **(template or {})}
    owner = {"name": workflow, "namespace": "team", "uid": UID}
    parent = decoded({"metadata": owner, "spec": {"flows": [raw_flow], **(spec or {})}}, Workflow)
    work = decoded({"metadata": {"name": "t"}, "spec": template_spec}, WorkTemplate)
    before = msgspec.json.encode((parent, work))
    defaults: dict[str, Any] = {"index": 0, "attempt": 0, "is_renamed": False, "pod_ips": {}}
    try:
        row = rules_for(work.spec.gvr.gvr)
        return render(parent, parent.spec.flows[0], work, kind=kind, row=row, **{**defaults, **arguments})
    finally:
        assert msgspec.json.encode((parent, work)) == before, "what is in the caches must not change"


def body_of(rendered: Rendered) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(rendered.body)
    return found


def container(rendered: Rendered) -> dict[str, Any]:
    found: dict[str, Any] = body_of(rendered)["spec"]["template"]["spec"]["containers"][0]
    return found


def test_the_whole_object() -> None:
    ours = {
        "flow.workflow.sh/workflow": "w",
        "flow.workflow.sh/workflow-uid": UID,
        "flow.workflow.sh/flow": "a",
        "flow.workflow.sh/attempt": "1",
        "flow.workflow.sh/index": "2",
    }
    rendered = made({"for": {"replicas": 4}}, index=2, attempt=1)
    assert (rendered.name, rendered.removed_ttl_fields) == ("w-a-2-r1", ())
    assert body_of(rendered) == (
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": "w-a-2-r1",
                "namespace": "team",
                "labels": ours,
                "annotations": {},
                "ownerReferences": [
                    {
                        "apiVersion": "flow.workflow.sh/v1alpha1",
                        "kind": "Workflow",
                        "name": "w",
                        "uid": UID,
                        "controller": True,
                        "blockOwnerDeletion": True,
                    }
                ],
            },
            "spec": {
                "backoffLimit": 0,
                "template": {
                    "metadata": {"labels": ours},
                    "spec": {
                        "restartPolicy": "Never",
                        "containers": [
                            {
                                "name": "main",
                                "image": "busybox:1.36",
                                "args": ["3", "2"],
                                "env": [
                                    {"name": "WORKFLOW_NAME", "value": "w"},
                                    {"name": "WORKFLOW_FLOW", "value": "a"},
                                    {"name": "WORKFLOW_INDEX", "value": "2"},
                                    {"name": "WORKFLOW_REPLICAS", "value": "4"},
                                    {"name": "WORKFLOW_ATTEMPT", "value": "1"},
                                ],
                            }
                        ],
                    },
                },
            },
        }
    )


@pytest.mark.parametrize(
    ("flow", "spec", "epochs"),
    [
        pytest.param({}, {}, "3", id="the template's default"),
        pytest.param({}, {"parameters": [{"name": "epochs", "value": "5"}]}, "5", id="the workflow over the template"),
        pytest.param(
            {"parameters": [{"name": "epochs", "value": "7"}]},
            {"parameters": [{"name": "epochs", "value": "5"}]},
            "7",
            id="the flow over both",
        ),
    ],
)
def test_parameters(flow: dict[str, Any], spec: dict[str, Any], epochs: str) -> None:
    assert container(made(flow, spec))["args"][0] == epochs


def test_without_for_there_is_no_index_label_but_index_0_of_1() -> None:
    rendered = made()
    assert labels.INDEX not in body_of(rendered)["metadata"]["labels"]
    env = {item["name"]: item["value"] for item in container(rendered)["env"]}
    assert (env["WORKFLOW_INDEX"], env["WORKFLOW_REPLICAS"]) == ("0", "1")


def test_every_variable_has_its_value() -> None:
    names = ["workflow.name", "workflow.namespace", "workflow.uid", "flow.name", "index", "replicas", "attempt"]
    wanted = " ".join(f"{{{{{name}}}}}" for name in [*names, "flows.b.podIP"])
    rendered = made(
        {"for": {"replicas": 4}}, template={"jobSpec": {"x": wanted}}, index=2, attempt=1, pod_ips={"b": "10.1.2.3"}
    )
    assert body_of(rendered)["spec"]["x"] == f"w team {UID} a 2 4 1 10.1.2.3"


def test_variables_of_a_patch_are_filled_in_before_it_is_merged() -> None:
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "x:{{index}}"}]}}}}
    found = container(made({"patch": patch, "for": {"replicas": 4}}, index=2))
    assert (found["image"], found["args"]) == ("x:2", ["3", "2"])


def test_a_json_patch_sees_labels_and_annotations() -> None:
    patch = [{"op": "add", "path": "/metadata/annotations/a", "value": "{{index}}"}]
    assert body_of(made({"patch": patch}))["metadata"]["annotations"] == {"a": "0"}


def test_template_metadata_reaches_the_object_with_variables() -> None:
    metadata = {"labels": {"team": "x", labels.FLOW: "forged"}, "annotations": {"run": "{{workflow.name}}-{{attempt}}"}}
    body = body_of(made(template={"metadata": metadata}))
    assert body["metadata"]["annotations"] == {"run": "w-0"}
    assert (body["metadata"]["labels"]["team"], body["metadata"]["labels"][labels.FLOW]) == ("x", "a")


def test_neither_patch_nor_template_can_say_who_the_object_is() -> None:
    patch = {
        "metadata": {"name": "x", "namespace": "kube-system", "ownerReferences": [{"uid": "1"}], "finalizers": ["f/x"]}
    }
    metadata = body_of(made({"patch": patch}))["metadata"]
    assert (metadata["name"], metadata["namespace"], metadata["finalizers"]) == ("w-a", "team", ["f/x"])
    assert [owner["uid"] for owner in metadata["ownerReferences"]] == [UID]


def test_a_variable_of_ours_in_env_wins_over_the_users() -> None:
    job = copy.deepcopy(JOB)
    job["template"]["spec"]["containers"][0]["env"] = [{"name": "WORKFLOW_INDEX", "value": "x"}, {"name": "MINE"}]
    env = container(made(template={"jobSpec": job}))["env"]
    assert [item for item in env if item["name"] == "WORKFLOW_INDEX"] == [{"name": "WORKFLOW_INDEX", "value": "0"}]
    assert {"name": "MINE"} in env


def test_ttl_fields_are_removed_and_reported() -> None:
    rendered = made(template={"jobSpec": {**JOB, "ttlSecondsAfterFinished": 5}})
    assert rendered.removed_ttl_fields == ("spec.ttlSecondsAfterFinished",)
    assert "ttlSecondsAfterFinished" not in body_of(rendered)["spec"]


def test_scheduler_and_queue_go_where_a_batch_job_has_them() -> None:
    body = body_of(made(spec={"schedulerName": "volcano", "queueName": "team-a", "plugins": {"svc": []}}))
    assert body["spec"]["template"]["spec"]["schedulerName"] == "volcano"
    assert body["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert "plugins" not in body["spec"]


def test_a_volcano_job_has_them_in_its_spec_and_a_name_that_leaves_room() -> None:
    gvr = {"group": "batch.volcano.sh", "version": "v1alpha1", "resource": "jobs"}
    tasks = [{"name": "worker", "replicas": 11, "template": {"spec": {"containers": [{"name": "c"}]}}}]
    rendered = made(
        spec={"schedulerName": "volcano", "queueName": "team-a", "plugins": {"svc": [], "ssh": ["--x"]}},
        template={"gvr": gvr, "jobSpec": {"tasks": tasks}},
        workflow="w" * 60,
    )
    spec = body_of(rendered)["spec"]
    assert (spec["schedulerName"], spec["queue"], spec["plugins"]) == ("volcano", "team-a", {"svc": [], "ssh": ["--x"]})
    assert spec["tasks"][0]["template"]["metadata"]["labels"][labels.FLOW] == "a"
    assert len(f"{rendered.name}-worker-10") <= 63


def test_a_renamed_task_gets_the_suffix_of_the_workflows_uid() -> None:
    assert made(is_renamed=True).name == "w-a-6a3ef3c2"


def test_probed_pods_are_marked_but_not_the_job() -> None:
    body = body_of(made(probed=True))
    assert body["spec"]["template"]["metadata"]["labels"][labels.PROBED] == "true"
    assert labels.PROBED not in body["metadata"]["labels"]


def test_a_long_workflow_name_is_cut_in_the_label() -> None:
    value = body_of(made(workflow="w" * 200))["metadata"]["labels"][labels.WORKFLOW]
    assert len(value) <= 63


def test_two_renderings_of_an_attempt_are_equal() -> None:
    one, two = made(), made()
    assert one == two


@pytest.mark.parametrize(
    ("flow", "template", "field", "message"),
    [
        pytest.param({}, {"jobSpec": {"a": ["{{workflow.x}}"]}}, "template.jobSpec.a[0]", "no variable", id="unknown"),
        pytest.param(
            {}, {"jobSpec": {"a": "{{params.x}}"}}, "template.jobSpec.a", "no parameter is named", id="parameter"
        ),
        pytest.param(
            {},
            {"metadata": {"labels": {"l": "{{flow.x}}"}}},
            "template.metadata.labels.l",
            "no variable",
            id="in a label",
        ),
        pytest.param({}, {"jobSpec": {"a": "{{flows.b.podIP}}"}}, "template.jobSpec.a", "no pod address", id="address"),
        pytest.param(
            {"patch": {"spec": {"a": "{{flow.x}}"}}}, {}, "patch.spec.a", "no variable", id="in a merge patch"
        ),
        pytest.param(
            {"patch": [{"op": "add", "path": "/spec/a", "value": {"b": "{{flow.x}}"}}]},
            {},
            "patch[0].value.b",
            "no variable",
            id="in a JSON Patch",
        ),
        pytest.param({"patch": [{"op": "remove", "path": "/spec/a"}]}, {}, "patch[0]", "cannot remove", id="not there"),
        pytest.param({"patch": "x"}, {}, "patch", "or a list", id="a patch of the wrong shape"),
        pytest.param({"patch": {"spec": 1}}, {}, "patch.spec", "must be an object", id="a spec of the wrong shape"),
    ],
)
def test_what_cannot_be_made_names_field_and_reason(
    flow: dict[str, Any], template: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(RenderError, match=message) as caught:
        made(flow, template=template)
    assert caught.value.field == field


def test_a_kind_that_cannot_be_a_job_is_refused_with_the_reason() -> None:
    with pytest.raises(RenderError) as caught:
        made(template={"gvr": {"group": "batch", "version": "v1", "resource": "cronjobs"}}, kind="CronJob")
    assert caught.value.field == "template.gvr"
    assert caught.value.message


def test_nesting_without_end_is_an_error_of_the_task() -> None:
    deep = msgspec.Raw(b'{"a":[' * 2_000 + b"1" + b"]}" * 2_000)
    gvr = TemplateGVR(group="batch", version="v1", resource="jobs")
    work = WorkTemplate(metadata=ObjectMeta(), spec=WorkTemplateSpec(gvr=gvr, raw_job_spec=deep))
    flow = Flow(name="a")
    owner = Workflow(metadata=ObjectMeta(name="w", uid=UID), spec=WorkflowSpec(flows=(flow,)))
    with pytest.raises(RenderError, match="too deeply"):
        render(owner, flow, work, index=0, attempt=0, is_renamed=False, pod_ips={}, kind="Job", row=rules_for(gvr.gvr))


def nested(levels: int) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for _ in range(levels):
        tree = {"a": tree}
    return tree


@pytest.mark.parametrize(
    ("flow", "field", "message"),
    [
        pytest.param(
            {"patch": [{"op": "add", "path": f"/spec/x{'/a' * 250 * at}", "value": nested(250)} for at in range(5)]},
            "patch[1]",
            "nested too deeply",
            id="steps that nest together too deeply",
        ),
        pytest.param({"patch": nested(400)}, "patch", "nested too deeply", id="a patch that is nested too deeply"),
        pytest.param(
            {
                "patch": {"args": ["{{params.big}}"] * 120},
                "parameters": [{"name": "big", "value": "\u0001" * 16_000}],
            },
            "the job",
            "at most 3,145,728",
            id="an object that is larger than the API server takes",
        ),
        pytest.param(
            {
                "patch": [{"op": "add", "path": "/spec/a", "value": "x" * 1_000}]
                + [{"op": "copy", "from": "/spec", "path": f"/spec/{at}"} for at in range(30)]
            },
            "patch[11].from",
            "copies more than",
            id="copies of copies",
        ),
        pytest.param(
            {"patch": {"template": {"spec": {"containers": [{"name": "main", "env": [{"name": "A"}]}] * 2}}}},
            "patch.spec.template.spec.containers",
            'two items with the name "main"',
            id="a list with the same name twice",
        ),
    ],
)
def test_what_grows_or_nests_too_much_is_an_error_of_the_task(flow: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(RenderError, match=message) as caught:
        made(flow)
    assert caught.value.field == field


def test_mounts_of_one_volume_are_merged_by_their_path() -> None:
    job = copy.deepcopy(JOB)
    job["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "scratch", "mountPath": "/scratch"}]
    mounts = [{"name": "keys", "mountPath": "/a", "subPath": "a"}, {"name": "keys", "mountPath": "/b", "subPath": "b"}]
    patch = {"template": {"spec": {"containers": [{"name": "main", "volumeMounts": mounts}]}}}
    found = container(made({"patch": patch}, template={"jobSpec": job}))["volumeMounts"]
    assert [mount["mountPath"] for mount in found] == ["/scratch", "/a", "/b"]


TYPED = Schema(Node(Type.OBJECT, {"spec": Node(Type.OBJECT, {"a": Node(Type.STRING), "b": Node(Type.INTEGER)})}))


def test_the_schema_of_the_kind_gives_template_and_patch_their_types() -> None:
    template = {"jobSpec": {"a": "{{index}}", "b": "{{index}}", "c": "{{index}}"}}
    flow = {"patch": {"spec": {"jobSpec": {"a": "{{attempt}}"}}}}
    found = body_of(made(flow, template=template, index=2, attempt=1, schema=TYPED))
    assert found["spec"] == {"a": "1", "b": 2, "c": 2}
    steps = {"patch": [{"op": "add", "path": "/spec/a", "value": "{{attempt}}"}]}
    assert body_of(made(steps, template=template, index=2, attempt=1, schema=TYPED))["spec"]["a"] == "1"
    bare = {"patch": {"a": "{{attempt}}"}}
    assert body_of(made(bare, template=template, index=2, attempt=1, schema=TYPED))["spec"]["a"] == "1"


def test_a_job_that_needs_no_type_is_made_before_the_schema_is_known() -> None:
    labels = {"metadata": {"labels": {"l": "{{index}}"}}, "jobSpec": {"a": "x{{index}}", "b": "{{index | int}}"}}
    found = body_of(made(template=labels, schema=None))
    assert found["spec"] == {"a": "x0", "b": 0}
    with pytest.raises(SchemaNeeded):
        made(template={"jobSpec": {"a": "{{index}}"}}, schema=None)


def test_the_pods_of_a_kind_without_a_row_wait_for_the_schema_that_says_what_they_take() -> None:
    gvr = {"group": "example.com", "version": "v1", "resource": "widgets"}
    pods = {"gvr": gvr, "jobSpec": {"template": {"spec": {"containers": [{"name": "main"}]}}}}
    with pytest.raises(SchemaNeeded):
        made(template=pods, schema=None)
    assert "labels" in body_of(made(template=pods, schema=NO_SCHEMA))["spec"]["template"]["metadata"]


def test_a_secret_is_not_made_for_a_flow_with_outputs() -> None:
    secret = {"gvr": {"version": "v1", "resource": "secrets"}, "jobSpec": {}}
    with pytest.raises(NotAllowedError, match="outputs of Secrets are not allowed") as error:
        made({"outputs": [{"name": "x", "from": {"path": "metadata.name"}}]}, template=secret, kind="Secret")
    assert error.value.reason == "Invalid"
