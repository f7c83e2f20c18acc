"""ValidatingAdmissionPolicies that deny jobs: whatever their code, the flows wait and are made once the policy goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from hack.cluster.api import Api, ApiStatusError
from tests.cluster.conftest import StartController
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow, template, workflow
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
TEAM = {"expression": "'team' in object.metadata.labels", "message": "jobs here carry a label team"}
# Error in the evaluation: there is no such label.
BROKEN = {"expression": "object.metadata.labels['nothing'] == 'x'"}


class Policies:
    """Policies for the jobs of one namespace; removed after the test."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.made: list[str] = []

    def add(self, name: str, validation: Object, *, actions: tuple[str, ...] = ("Deny",), gvr: str = "jobs") -> None:
        """A policy with one validation, once it is in force."""
        name = f"{name}-{self.world.namespace}"
        rule = {"apiGroups": ["batch" if gvr == "jobs" else ""], "apiVersions": ["v1"], "operations": ["CREATE"]}
        matched = {"matchLabels": {"kubernetes.io/metadata.name": self.world.namespace}}
        spec = {
            "failurePolicy": "Fail",
            "matchConstraints": {"namespaceSelector": matched, "resourceRules": [{**rule, "resources": [gvr]}]},
            "validations": [validation],
        }
        api = self.world.api
        api.request("POST", f"{ADMISSION}/validatingadmissionpolicies", {"metadata": {"name": name}, "spec": spec})
        self.made.append(name)
        binding = {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": list(actions)}}
        api.request("POST", f"{ADMISSION}/validatingadmissionpolicybindings", binding)
        if "Deny" in actions:
            deadline = time.monotonic() + 30
            while not self._is_denied(gvr):
                assert time.monotonic() < deadline, "the policy is not in force within 30 s"
                time.sleep(0.1)

    def _is_denied(self, gvr: str) -> bool:
        """Whether the API server denies an object of that kind, which is not made."""
        pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}]}
        body: Object = {"metadata": {"name": "probe", "labels": {"x": "y"}}, "spec": {"template": {"spec": pod}}}
        if gvr != "jobs":
            body["spec"] = pod
        root = "/apis/batch/v1" if gvr == "jobs" else "/api/v1"
        try:
            self.world.api.request("POST", f"{root}/namespaces/{self.world.namespace}/{gvr}?dryRun=All", body)
        except ApiStatusError as error:
            return "ValidatingAdmissionPolicy" in str(error)
        return False

    def remove(self) -> None:
        """All of them."""
        for name in self.made:
            for plural in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
                with contextlib.suppress(ApiStatusError):
                    self.world.api.request("DELETE", f"{ADMISSION}/{plural}/{name}")
        self.made = []


@pytest.fixture
def policies(world: World, api: Api) -> Iterator[Policies]:
    made = Policies(world)
    yield made
    made.remove()


DENIALS: dict[str, tuple[Object, str]] = {
    "without a reason, which is 422": (TEAM, "jobs here carry a label team"),
    "as Forbidden, which is 403": (TEAM | {"reason": "Forbidden"}, "jobs here carry a label team"),
    "as RequestEntityTooLarge, which is 413": (TEAM | {"reason": "RequestEntityTooLarge"}, "jobs here carry a label"),
    "by an expression that fails": (BROKEN, "nothing"),
}


@pytest.mark.parametrize(("validation", "words"), DENIALS.values(), ids=DENIALS.keys())
def test_a_flow_that_a_policy_denies_waits_and_is_made_once_the_policy_is_gone(
    world: World, start_controller: StartController, policies: Policies, validation: Object, words: str
) -> None:
    start_controller()
    world.create(template("step", run_for="0.1s"))
    policies.add("team", validation)
    world.create(workflow("c13", flow("plain")))
    found = world.wait_flow("c13", "plain", "Waiting", reason="AdmissionDenied")
    assert "ValidatingAdmissionPolicy" in found["message"]
    assert words in found["message"]
    assert world.status("c13")["phase"] not in ("Succeeded", "Failed")
    policies.remove()
    assert world.wait_phase("c13")["phase"] == "Succeeded"
    assert world.flow("c13", "plain")["attempts"] == 1


def test_jobs_and_pods_under_several_policies(
    world: World, start_controller: StartController, policies: Policies
) -> None:
    start_controller()
    pod = template("pod")
    pod["spec"] = {
        "gvr": {"group": "", "version": "v1", "resource": "pods"},
        "jobSpec": {"containers": [{"name": "main", "image": "busybox:1.36"}]},
    }
    labelled = {"metadata": {"labels": {"team": "a"}}}
    world.create_all([template("step", run_for="0.1s"), pod])
    policies.add("team", TEAM)
    policies.add("team-on-pods", TEAM | {"reason": "Forbidden"}, gvr="pods")
    policy = {"type": "All", "remaining": "Continue"}
    flows = [flow("plain"), flow("pod", of="pod"), flow("labelled", patch=labelled)]
    world.create(workflow("c13", *flows, successPolicy=policy))
    for name in ("plain", "pod"):
        world.wait_flow("c13", name, "Waiting", reason="AdmissionDenied")
    # The policy lets this one through; its pods are another matter.
    world.wait_job("c13-labelled")
    world.patch(world.workflow_path("c13"), {"metadata": {"annotations": {"x": "y"}}})
    policies.remove()
    assert world.wait_phase("c13")["phase"] == "Succeeded"


def test_a_policy_that_only_warns_is_shown_and_denies_nothing(
    world: World, start_controller: StartController, policies: Policies
) -> None:
    start_controller()
    world.create(template("step", run_for="0.1s"))
    policies.add("first", TEAM)  # in force, so the other one will be, too
    policies.add("team", TEAM | {"message": "better with a label team"}, actions=("Warn",))
    policies.world.api.request("DELETE", f"{ADMISSION}/validatingadmissionpolicybindings/first-{world.namespace}")
    world.create(workflow("warned", flow("wide") | {"for": {"replicas": 3}}))
    assert world.wait_phase("warned")["phase"] == "Succeeded"
    found = world.flow("warned", "wide")
    assert found["reason"] == "ServerWarning"
    assert "better with a label team" in found["message"]


def test_a_pending_timeout_ends_the_wait_for_a_policy(
    world: World, start_controller: StartController, policies: Policies
) -> None:
    start_controller()
    world.create(template("step", run_for="0.1s"))
    policies.add("team", TEAM)
    world.create(workflow("late", flow("plain", pendingTimeout="3s")))
    world.wait_flow("late", "plain", "Failed", reason="PendingTimeout")
    assert world.latest_jobs("late") == []
