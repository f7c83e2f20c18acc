"""What `kubectl apply` prints while the webhook runs: refusals, warnings, and nothing where all is well."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.cluster import Cluster
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.webhook import asked_webhook
from tests.cluster.support.world import PATIENCE, World
from tests.cluster.test_apply import MANIFESTS, Applied

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
DENIED = 'admission webhook "validate.flow.workflow.sh" denied the request:'
RUNNING = {"phase": "Running", "flows": [{"name": "a", "phase": "Running"}]}


@pytest.fixture(scope="module", autouse=True)
def _webhook(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with asked_webhook(cluster, tmp_path_factory.mktemp("webhook")):
        yield


class Kubectl:
    """kubectl in the namespace of the test. What it prints is kept as lines."""

    def __init__(self, cluster: Cluster, world: World) -> None:
        self._command = [str(Path(cluster.state.binaries) / "kubectl"), f"--namespace={world.namespace}"]
        self._env = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}

    def __call__(self, *args: str, send: list[Object] | None = None) -> tuple[list[str], list[str]]:
        """The lines of standard output, and those of the error output without `Warning: ` in front."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": send}) if send is not None else None
        files = ("-f", "-") if send is not None else ()
        done = subprocess.run(
            [*self._command, *args, *files], input=text, capture_output=True, text=True, check=False, env=self._env
        )
        return done.stdout.splitlines(), [line.removeprefix("Warning: ") for line in done.stderr.splitlines()]


@pytest.fixture
def kubectl(cluster: Cluster, world: World) -> Kubectl:
    return Kubectl(cluster, world)


def test_a_bad_manifest_is_refused_with_every_fault_on_a_line_of_its_own(kubectl: Kubectl) -> None:
    bad = workflow("bad", flow("a", "bb c", timeout="9999999h"), flow("b"), flow("b"))
    said, errors = kubectl("apply", send=[template("step"), bad])
    assert said == ["worktemplate.flow.workflow.sh/step created"]
    head, *lines = [line for line in errors if not line.startswith("Name:") and line.strip()]
    assert head.startswith('The request is invalid: error when creating "STDIN": ')
    assert head.endswith(f'{DENIED} Workflow "bad" has 4 faults:')
    assert lines == [
        '- spec.flows[2].name: the name "b" is taken by spec.flows[1]; each flow needs its own',
        "- spec.flows[0].timeout: longer than a duration can be (about 292 years)",
        '- spec.flows[0].dependsOn.targets[0]: no flow is named "bb"; did you mean "b"?',
        '- spec.flows[0].dependsOn.targets[1]: no flow is named "c"; name one of spec.flows',
    ]


def test_an_apply_of_a_bad_manifest_loses_nothing(kubectl: Kubectl, world: World) -> None:
    assert kubectl("apply", send=[template("step"), workflow("w", flow("a"))])[1] == []
    before = world.api.get(world.workflow_path("w"))
    said, errors = kubectl("apply", send=[workflow("w", flow("a", "nope"))])
    assert (said, DENIED in "".join(errors)) == ([], True)
    assert world.api.get(world.workflow_path("w")) == before


def test_a_workflow_that_is_applied_together_with_its_templates_is_not_warned_of_them(kubectl: Kubectl) -> None:
    for at in range(5):
        name = f"step-{at}"
        sent = [template(name), workflow(f"w-{at}", flow("a", of=name))]
        assert kubectl("apply", send=sent) == (
            [f"worktemplate.flow.workflow.sh/{name} created", f"workflow.flow.workflow.sh/w-{at} created"],
            [],
        )


def test_warnings_are_printed_and_the_object_is_stored(kubectl: Kubectl) -> None:
    misspelt = template("step")
    misspelt["spec"]["jobSpec"]["template"]["spec"]["containers"][0]["comand"] = ["true"]
    deadline = time.monotonic() + PATIENCE
    while not (told := kubectl("apply", "--dry-run=server", send=[misspelt])[1]):  # the schema may still be read
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert told == [
        'spec.jobSpec.template.spec.containers[0].comand: jobs of batch/v1 have no such field; did you mean "command"?'
    ]
    missing = workflow("w", flow("a", of="nope"), flow("b", "a", of="nope"))
    assert kubectl("apply", send=[missing]) == (
        ["workflow.flow.workflow.sh/w created"],
        ['spec.flows[0].template: WorkTemplate "nope" does not exist in this namespace; the flow waits until it does'],
    )


def test_an_edit_that_would_hold_a_running_workflow_is_refused(kubectl: Kubectl, world: World) -> None:
    kubectl("apply", send=[template("step"), workflow("w", flow("a"))])
    world.patch(f"{world.workflow_path('w')}/status", {"status": RUNNING})
    _, errors = kubectl("apply", send=[workflow("w", flow("a", continueOnFail=True))])
    assert errors[-1].startswith("- spec.flows[0].continueOnFail: cannot change while the workflow runs; only suspend,")
    assert kubectl("apply", send=[workflow("w", flow("a"), suspend=True)]) == (
        ["workflow.flow.workflow.sh/w configured"],
        [],
    )
    ended = {**RUNNING, "phase": "Failed"}
    world.patch(f"{world.workflow_path('w')}/status", {"status": ended})
    said, _ = kubectl("apply", send=[workflow("w", flow("a", continueOnFail=True), restart={"at": "1"})])
    assert said == ["workflow.flow.workflow.sh/w configured"], "correct and restart in one apply"


def test_what_was_stored_without_the_webhook_can_be_labelled_suspended_and_deleted(
    kubectl: Kubectl, world: World, cluster: Cluster
) -> None:
    """Its rules may be newer than the object."""
    running = workflow("old", flow("a"))
    kubectl("apply", send=[template("step"), running])
    world.patch(f"{world.workflow_path('old')}/status", {"status": RUNNING})
    assert kubectl("label", "wkf", "old", "x=y") == (["workflow.flow.workflow.sh/old labeled"], [])
    assert (
        kubectl("patch", "wkf", "old", "--type=merge", "-p", '{"metadata": {"finalizers": ["example.com/x"]}}')[1] == []
    )
    kubectl("delete", "wkf", "old", "--wait=false")
    assert kubectl("patch", "wkf", "old", "--type=merge", "-p", '{"metadata": {"finalizers": null}}')[1] == []


def test_the_deletion_of_a_template_in_use_is_warned_of(kubectl: Kubectl, world: World) -> None:
    kubectl("apply", send=[template("step")])
    path = f"/apis/flow.workflow.sh/v1alpha1/namespaces/{world.namespace}/worktemplates/step/status"
    world.patch(path, {"status": {"usedBy": {"count": 1, "names": ["w"]}}})
    said, told = kubectl("delete", "wkt", "step")
    assert said[0].startswith('worktemplate.flow.workflow.sh "step" deleted')
    assert told == [
        '1 workflow uses WorkTemplate "step": "w"; jobs that exist go on, and flows that have not started wait until it'
        " exists again"
    ]


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_an_unchanged_manifest_is_unchanged(cluster: Cluster, world: World, manifest: Object) -> None:
    Applied(cluster, world, manifest).expect_unchanged()


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_an_unchanged_manifest_changes_nothing_on_the_server(cluster: Cluster, world: World, manifest: Object) -> None:
    Applied(cluster, world, manifest).expect_unchanged_on_the_server()


def test_defaults_are_written_out_where_kubectl_does_not_compare_lists(kubectl: Kubectl, world: World) -> None:
    kubectl("apply", send=[template("step"), workflow("w", flow("a"))])
    spec = world.api.get(world.workflow_path("w"))["spec"]
    assert (spec["successPolicy"], spec["jobRetainPolicy"]) == ({"type": "All"}, "retain")
    assert spec["flows"] == [{"name": "a", "template": "step"}]


@pytest.mark.parametrize("example", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_every_example_passes_a_dry_run(cluster: Cluster, example: Path) -> None:
    """Custom resources that an example is about are not installed here; what is ours passes."""
    documents = example.read_text("utf-8").split("\n---\n")
    ours = [document for document in documents if "apiVersion: flow.workflow.sh/" in document]
    said = cluster.kubectl("apply", "--dry-run=server", "--filename=-", input="\n---\n".join(ours))
    assert said.count("created (server dry run)") == len(ours)
