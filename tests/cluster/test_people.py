"""Nobody gets more through the controller than they have: the real API server with RBAC, webhook and controller.

alice may write Workflows and WorkTemplates, and their status, but may create no jobs. bob may create jobs as well. The
controller runs with its own account, and the webhook only records who they are, so that the controller alone refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.cluster import Cluster
from hack.cluster.api import Api, ApiStatusError
from pkg.apis.flow.v1alpha1.people import ANNOTATIONS, CREATED_BY, EDITED_BY, MADE_FOR
from tests.cluster.conftest import StartController
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.town import ALONE, ENFORCE, Town, nested, serve, signed
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
PODS = {"version": "v1", "resource": "pods"}
ROOT = '{"user":"root","groups":["system:masters"]}'
FORGED = {CREATED_BY: ROOT, EDITED_BY: ROOT, MADE_FOR: f"[{ROOT}]"}


@pytest.fixture(scope="module")
def webhook(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The webhook, called by the API server for all objects of our group while the tests of this file run."""
    yield from serve(cluster, tmp_path_factory.mktemp("webhook") / "webhook.log", "--authorize=off")


@pytest.fixture
def town(cluster: Cluster, world: World, webhook: None) -> Town:
    return Town(cluster, world)


@pytest.fixture
def enforcing(start_controller: StartController, installed_kubeconfig: Path) -> None:
    """The controller with its own account, which enforces rights."""
    start_controller(*ENFORCE, kubeconfig=installed_kubeconfig)


def done(town: Town, name: str = "w") -> None:
    """bob's Workflow of that name, which has ended."""
    town.apply("bob", template("step", run_for="0.1s"))
    town.apply("bob", workflow(name, flow("a")))
    assert town.world.wait_phase(name)["phase"] == "Succeeded"


# Each way in which alice may try to have a job made: the Workflow and the flow that must get none, and words of why.


def a_template_of_a_colleague(town: Town) -> tuple[str, str, str]:
    town.apply("bob", template("step"))
    town.apply("alice", workflow("w", flow("a")))
    return "w", "a", "alice created Workflow w"


def a_template_of_her_own_in_a_workflow_of_a_colleague(town: Town) -> tuple[str, str, str]:
    town.apply("alice", template("step"))
    town.apply("bob", workflow("w", flow("a")))
    return "w", "a", "alice edited WorkTemplate step last"


def a_template_of_a_colleague_that_she_edits(town: Town) -> tuple[str, str, str]:
    town.apply("bob", template("step"))
    town.patch("alice", "wkt/step", {"spec": {"jobSpec": {"backoffLimit": 3}}})
    town.apply("bob", workflow("w", flow("a")))
    return "w", "a", "alice edited WorkTemplate step last"


def an_edit_and_a_restart_of_a_workflow_that_has_ended(town: Town) -> tuple[str, str, str]:
    done(town)
    spec = {"flows": [flow("a"), flow("b")], "restart": {"at": "1", "flows": ["b"]}}
    town.patch("alice", "wkf/w", {"spec": spec})
    return "w", "b", "alice edited Workflow w last"


def a_running_workflow_of_a_colleague(town: Town) -> tuple[str, str, str]:
    town.apply("bob", template("step", run_for="3s"))
    town.apply("bob", workflow("w", flow("a"), flow("b", "a")))
    town.world.wait_job("w-a")
    town.patch("alice", "wkf/w", {"spec": {"parallelism": 7}})
    return "w", "b", "alice edited Workflow w last"


def a_workflow_in_a_workflow(town: Town) -> tuple[str, str, str]:
    town.apply("bob", template("step"))
    town.apply("bob", nested("outer"))
    town.apply("alice", workflow("w", flow("a", of="outer")))
    return "w-a", "inner", "alice created Workflow w-a"


def a_workflow_that_her_template_makes_in_a_workflow_of_a_colleague(town: Town) -> tuple[str, str, str]:
    town.apply("bob", template("step"))
    town.apply("alice", nested("outer"))
    town.apply("bob", workflow("w", flow("a", of="outer")))
    return "w-a", "inner", "alice is behind what made Workflow w-a"


def a_template_that_forges_the_people_of_what_it_makes(town: Town) -> tuple[str, str, str]:
    town.apply("bob", template("step"))
    town.apply("alice", nested("outer", annotations=FORGED))
    town.apply("bob", workflow("w", flow("a", of="outer", patch={"metadata": {"annotations": FORGED}})))
    return "w-a", "inner", "alice is behind what made Workflow w-a"


def forged_annotations(town: Town) -> tuple[str, str, str]:
    town.apply("bob", template("step"))
    town.apply("alice", signed(workflow("w", flow("a")), FORGED))
    return "w", "a", "alice created Workflow w"


def forged_annotations_of_a_template(town: Town) -> tuple[str, str, str]:
    town.apply("alice", signed(template("step"), FORGED))
    town.apply("bob", workflow("w", flow("a")))
    return "w", "a", "alice edited WorkTemplate step last"


def of_alice(town: Town) -> None:
    town.apply("bob", template("step"))
    town.apply("alice", workflow("w", flow("a")))


def a_patch_of_the_annotations(town: Town) -> tuple[str, str, str]:
    of_alice(town)
    town.patch("alice", "wkf/w", {"metadata": {"annotations": FORGED}})
    town.patch("alice", "wkf/w", {"metadata": {"annotations": dict.fromkeys(ANNOTATIONS)}})
    town.patch("alice", "wkf/w", {"metadata": {"annotations": None}})
    return "w", "a", "alice created Workflow w"


def kubectl_annotate(town: Town) -> tuple[str, str, str]:
    of_alice(town)
    town.run("annotate", "wkf/w", "--overwrite", *(f"{name}={text}" for name, text in FORGED.items()), user="alice")
    town.run("annotate", "wkf/w", *(f"{name}-" for name in (CREATED_BY, EDITED_BY)), user="alice")
    return "w", "a", "alice created Workflow w"


def server_side_apply(town: Town) -> tuple[str, str, str]:
    town.apply("bob", template("step"))
    document = signed(workflow("w", flow("a")), FORGED)
    town.apply("alice", document, "--server-side")
    town.apply("alice", document, "--server-side", "--force-conflicts", "--field-manager=other")
    return "w", "a", "alice created Workflow w"


def kubectl_replace(town: Town) -> tuple[str, str, str]:
    of_alice(town)
    words = "alice created Workflow w"
    town.refused("w", "a", words)  # kubectl replaces the version that it has read
    town.run("replace", "-f", "-", user="alice", sent=signed(workflow("w", flow("a")), FORGED))
    return "w", "a", words


def the_status_subresource(town: Town) -> tuple[str, str, str]:
    of_alice(town)
    change = {"metadata": {"annotations": FORGED}, "status": {"message": "x"}}
    town.patch("alice", "wkf/w", change, "--subresource=status")
    return "w", "a", "alice created Workflow w"


def an_update_that_claims_to_be_a_deletion(town: Town) -> tuple[str, str, str]:
    """The API server asks no webhook about what is being deleted."""
    of_alice(town)
    change = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "annotations": FORGED}}
    town.run("patch", "wkf/w", "--type=merge", "-p", json.dumps(change), user="alice", check=False)
    return "w", "a", "alice created Workflow w"


ROADS: list[Callable[[Town], tuple[str, str, str]]] = [
    a_template_of_a_colleague,
    a_template_of_her_own_in_a_workflow_of_a_colleague,
    a_template_of_a_colleague_that_she_edits,
    an_edit_and_a_restart_of_a_workflow_that_has_ended,
    a_running_workflow_of_a_colleague,
    a_workflow_in_a_workflow,
    a_workflow_that_her_template_makes_in_a_workflow_of_a_colleague,
    a_template_that_forges_the_people_of_what_it_makes,
    forged_annotations,
    forged_annotations_of_a_template,
    a_patch_of_the_annotations,
    kubectl_annotate,
    server_side_apply,
    kubectl_replace,
    the_status_subresource,
    an_update_that_claims_to_be_a_deletion,
]


@pytest.mark.parametrize("road", ROADS, ids=lambda road: road.__name__.replace("_", " "))
def test_who_may_create_no_jobs_gets_none_by(
    town: Town, enforcing: None, road: Callable[[Town], tuple[str, str, str]]
) -> None:
    name, of, words = road(town)
    town.refused(name, of, words)


def test_a_creation_that_claims_to_be_a_deletion_cannot_forge_people(town: Town) -> None:
    document = signed(workflow("w", flow("a")), FORGED)
    document["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    town.run("create", "-f", "-", user="alice", sent=document, check=False)
    found = json.loads(town.run("get", "wkf", "-o", "json", user="bob"))["items"]
    assert not found or town.notes("wkf/w") == {CREATED_BY: "alice", EDITED_BY: "alice"}


def test_a_template_that_is_being_deleted_makes_no_job(town: Town, enforcing: None) -> None:
    """The API server asks no webhook about such an object, so anybody who may edit it can write the annotations."""
    document = template("step")
    document["metadata"]["finalizers"] = ["example.com/stay"]
    town.apply("alice", document)
    town.run("delete", "wkt/step", "--wait=false", user="alice")
    town.apply("bob", workflow("w", flow("a")))
    message = town.world.wait_flow("w", "a", "Waiting", reason="NotAllowed")["message"]
    assert message.startswith("WorkTemplate step is being deleted, so nobody is responsible for it any more")


def test_who_may_create_no_pods_gets_none_and_who_may_does(town: Town, enforcing: None) -> None:
    pod = template("pod")
    pod["spec"] = {"gvr": PODS, "jobSpec": {"containers": [{"name": "main", "image": "busybox:1.36"}]}}
    town.apply("bob", pod)
    town.apply("alice", workflow("hers", flow("a", of="pod")))
    town.apply("bob", workflow("his", flow("a", of="pod")))
    town.refused("hers", "a", "alice created Workflow hers", "pods")
    town.world.wait_flow("his", "a", "Pending", "Running", "Succeeded")
    pods = town.world.api.get(f"/api/v1/namespaces/{town.world.namespace}/pods")["items"]
    assert [pod["metadata"]["name"] for pod in pods] == ["his-a"]


def test_who_may_has_their_jobs_also_nested_ones_and_after_a_restart(town: Town, enforcing: None) -> None:
    town.apply("bob", template("step", run_for="0.1s"))
    town.apply("bob", nested("outer"))
    town.apply("bob", workflow("w", flow("a"), flow("b", "a", of="outer")))
    assert town.world.wait_phase("w")["phase"] == "Succeeded"
    town.patch("bob", "wkf/w", {"spec": {"restart": {"at": "1", "flows": ["a"]}}})
    town.world.history.wait(lambda: town.world.flow("w", "a").get("attempts") == 2, 60, "the second attempt")
    assert town.world.wait_phase("w")["phase"] == "Succeeded"
    assert town.notes("wkf/w-b") == {CREATED_BY: "bob", EDITED_BY: "bob"}


def test_the_record_says_who_created_and_who_edited(town: Town) -> None:
    town.apply("bob", template("step"))
    town.apply("bob", workflow("w", flow("a"), suspend=True))
    assert town.notes("wkf/w") == town.notes("wkt/step") == {CREATED_BY: "bob", EDITED_BY: "bob"}
    town.run("label", "wkf/w", "team=a", user="alice")
    assert town.notes("wkf/w") == {CREATED_BY: "bob", EDITED_BY: "bob"}
    town.patch("alice", "wkf/w", {"spec": {"parallelism": 3}})
    assert town.notes("wkf/w") == {CREATED_BY: "bob", EDITED_BY: "alice"}
    assert "unchanged" in town.apply("bob", template("step"))
    assert "serverside-applied" in town.apply("bob", template("step"), "--server-side", "--force-conflicts")
    assert town.notes("wkt/step") == {CREATED_BY: "bob", EDITED_BY: "bob"}


def test_a_right_that_is_taken_away_stops_new_jobs_and_one_that_is_granted_starts_them(
    town: Town, enforcing: None
) -> None:
    town.apply("bob", template("step", run_for="25s"))
    town.apply("bob", workflow("w", flow("a"), flow("b", "a")))
    town.world.wait_job("w-a")
    town.unbind("jobs", "bob")
    message = town.world.wait_flow("w", "b", "Waiting", reason="NotAllowed")["message"]
    assert "bob may not create jobs.batch" in message
    assert town.world.flow("w", "a")["phase"] == "Succeeded", "a job that exists runs on"
    town.bind("jobs", "bob")
    assert town.world.wait_phase("w")["phase"] == "Succeeded"


def test_warn_makes_the_job_and_says_what_would_be_refused(
    town: Town, start_controller: StartController, installed_kubeconfig: Path
) -> None:
    controller = start_controller(*ALONE, "--authorize=warn", kubeconfig=installed_kubeconfig)
    town.apply("bob", template("step", run_for="0.1s"))
    town.apply("alice", workflow("w", flow("a")))
    assert town.world.wait_phase("w")["phase"] == "Succeeded"
    events = f"/api/v1/namespaces/{town.world.namespace}/events?fieldSelector=reason%3DNotAllowed"
    controller.wait(lambda: town.world.api.get(events)["items"], 30, "the Event")
    assert "alice may not create jobs.batch" in town.world.api.get(events)["items"][0]["message"]
    assert controller.has_logged(
        "rights are not enforced: whoever may create Workflows in a namespace gets every job there"
        " that this controller may create; install the webhook and set --authorize=enforce (docs/security.md)",
        authorize="warn",
    )


def test_somebody_who_calls_themselves_the_controller_is_not(town: Town, api: Api) -> None:
    """Only the account itself counts, not an owner reference, and not a name in an annotation."""
    town.apply("bob", template("step"))
    town.apply("bob", workflow("owner", flow("a"), suspend=True))
    owner = json.loads(town.run("get", "wkf/owner", "-o", "json", user="bob"))["metadata"]
    reference = {
        "apiVersion": "flow.workflow.sh/v1alpha1",
        "kind": "Workflow",
        "name": "owner",
        "uid": owner["uid"],
        "controller": True,
    }
    document = workflow("w", flow("a"))
    document["metadata"] |= {"ownerReferences": [reference], "annotations": FORGED}
    town.apply("alice", document)
    assert town.notes("wkf/w") == {CREATED_BY: "alice", EDITED_BY: "alice"}
    with pytest.raises(ApiStatusError, match="404"):
        api.get(town.world.job_path("w-a"))
