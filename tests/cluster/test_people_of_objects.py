"""Applying and deleting objects needs the rights of the person, to that object by its name, on the real API server.

carol may write Workflows, and create, patch and get the ConfigMap `hers` alone; dave may delete it, and no other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster import Cluster
from hack.cluster.api import ApiStatusError
from tests.cluster.conftest import StartController
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import workflow
from tests.cluster.support.town import ENFORCE, OURS, RBAC, Town, serve
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
MAPS: Object = {"version": "v1", "resource": "configmaps"}


@pytest.fixture(scope="module")
def webhook(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield from serve(cluster, tmp_path_factory.mktemp("webhook") / "webhook.log", "--authorize=off")


@pytest.fixture
def town(
    cluster: Cluster, world: World, webhook: None, start_controller: StartController, installed_kubeconfig: Path
) -> Town:
    found = Town(cluster, world)
    grant(found, "carol", "create", "patch", "get")
    grant(found, "dave", "delete")
    start_controller(*ENFORCE, kubeconfig=installed_kubeconfig)
    return found


def grant(town: Town, user: str, *verbs: str, name: str = "hers") -> None:
    """These verbs on the ConfigMap of that name alone, and everything on our own kinds."""
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [name], "verbs": list(verbs)}
    home, role = f"{RBAC}/namespaces/{town.world.namespace}", f"{user}-{name}-{'-'.join(verbs)}"
    town.world.api.request("POST", f"{home}/roles", {"metadata": {"name": role}, "rules": [OURS, rule]})
    body = {
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    town.world.api.request("POST", f"{home}/rolebindings", body)

    def may() -> bool:
        asked = town.run("auth", "can-i", verbs[0], f"configmap/{name}", user=user, check=False)
        return asked.strip() == "yes"

    town.world.history.wait(may, 30, f"the right of {user}")


def one(name: str, action: str, of: str, **fields: Any) -> Object:
    spec = {"gvr": MAPS, "action": action, "metadata": {"name": of}, "jobSpec": {}, **fields}
    return workflow(name, {"name": "a", "templateSpec": spec})


def applies(name: str, of: str) -> Object:
    return one(name, "Apply", of, jobSpec={"data": {"by": name}})


def maps(town: Town) -> dict[str, Any]:
    found = town.world.api.get(f"/api/v1/namespaces/{town.world.namespace}/configmaps")["items"]
    return {item["metadata"]["name"]: item.get("data") for item in found}


def test_who_may_patch_one_object_has_that_one_applied_and_no_other(town: Town) -> None:
    town.apply("carol", applies("w", "hers"))
    town.apply("carol", applies("other", "theirs"))
    assert town.world.wait_phase("w")["phase"] == "Succeeded"
    message = town.world.wait_flow("other", "a", "Waiting", reason="NotAllowed")["message"]
    assert "carol may not create configmaps" in message
    assert "theirs" in message
    assert maps(town)["hers"] == {"by": "w"}
    assert "theirs" not in maps(town)
    blocked = next(item for item in town.world.status("other")["conditions"] if item["type"] == "Blocked")
    assert (blocked["status"], blocked["reason"]) == ("True", "NotAllowed")
    grant(town, "carol", "create", "get", name="theirs")
    message = town.world.wait_message("other", "a", "may not patch")
    assert "carol may not patch configmaps" in message, "create alone is not enough"
    grant(town, "carol", "patch", name="theirs")
    assert town.world.wait_phase("other")["phase"] == "Succeeded"


def test_who_may_delete_one_object_has_that_one_deleted_and_no_other(town: Town) -> None:
    for name in ("hers", "theirs"):
        town.world.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {}})
    town.apply("carol", one("applier", "Delete", "hers"))
    message = town.world.wait_flow("applier", "a", "Waiting", reason="NotAllowed")["message"]
    assert "carol may not delete configmaps" in message, "the right to apply is none to delete"
    town.apply("dave", one("other", "Delete", "theirs"))
    message = town.world.wait_flow("other", "a", "Waiting", reason="NotAllowed")["message"]
    assert "dave may not delete configmaps" in message
    assert {"hers", "theirs"} <= maps(town).keys()
    town.apply("dave", one("w", "Delete", "hers"))
    assert town.world.wait_phase("w")["phase"] == "Succeeded"
    assert "hers" not in maps(town)
    assert "theirs" in maps(town)


def test_secrets_are_outside_of_the_shipped_rights(town: Town, installed_kubeconfig: Path) -> None:
    """Also where the person may do everything: the controller itself has no right to them."""
    home = f"{RBAC}/namespaces/{town.world.namespace}"
    body = {
        "metadata": {"name": "root"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "erin"}],
    }
    town.world.api.request("POST", f"{home}/rolebindings", body)

    def may() -> bool:
        return town.run("auth", "can-i", "patch", "secrets", user="erin", check=False).strip() == "yes"

    town.world.history.wait(may, 30, "the right of erin")
    town.apply("erin", one("w", "Apply", "s", gvr={"version": "v1", "resource": "secrets"}, jobSpec={"stringData": {}}))
    found = town.world.wait_flow("w", "a", "Waiting", reason="KindUnreadable")
    assert "the controller cannot list secrets.v1" in found["message"]
    blocked = next(item for item in town.world.status("w")["conditions"] if item["type"] == "Blocked")
    assert (blocked["status"], blocked["reason"]) == ("True", "KindUnreadable")
    with pytest.raises(ApiStatusError):
        town.world.api.get(f"/api/v1/namespaces/{town.world.namespace}/secrets/s")
    assert json.loads(town.run("get", "secrets", "-o", "json", user="erin"))["items"] == []
