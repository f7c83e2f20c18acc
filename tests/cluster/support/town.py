"""A namespace with people of different rights, and the webhook that records who they are."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hack.cluster import Cluster
from hack.webhook_process import WebhookProcess, register, unregister
from pkg.apis.flow.v1alpha1.people import CREATED_BY, EDITED_BY
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import flow
from tests.cluster.support.world import World

RBAC = "/apis/rbac.authorization.k8s.io/v1"
OURS = {
    "apiGroups": ["flow.workflow.sh"],
    "resources": ["workflows", "worktemplates", "workflows/status", "worktemplates/status"],
    "verbs": ["*"],
}
JOBS = {"apiGroups": ["batch", ""], "resources": ["jobs", "pods"], "verbs": ["create"]}
NESTED = {"group": "flow.workflow.sh", "version": "v1alpha1", "resource": "workflows"}
#: Without election: the account has rights on the Lease of its own namespace alone, and a killed holder keeps it.
ALONE = ("--leader-elect=false", "--exclusive=false")
ENFORCE = (*ALONE, "--authorize=enforce", "--authorize-allowed-seconds=2", "--authorize-denied-seconds=0.5")


class Town:
    """The namespace of a test and the people in it."""

    def __init__(self, cluster: Cluster, world: World) -> None:
        self.cluster = cluster
        self.world = world
        self._role("ours", OURS, "alice", "bob")
        self._role("jobs", JOBS, "bob")

    def _role(self, name: str, rule: Object, *users: str) -> None:
        home = f"{RBAC}/namespaces/{self.world.namespace}"
        self.world.api.request("POST", f"{home}/roles", {"metadata": {"name": name}, "rules": [rule]})
        for user in users:
            self.bind(name, user)

    def bind(self, role: str, user: str) -> None:
        """Gives a user a role of this namespace."""
        body = {
            "metadata": {"name": f"{user}-{role}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }
        self.world.api.request("POST", f"{RBAC}/namespaces/{self.world.namespace}/rolebindings", body)
        self._wait_may(user, role, expected=True)

    def unbind(self, role: str, user: str) -> None:
        """Takes it away again."""
        home = f"{RBAC}/namespaces/{self.world.namespace}/rolebindings"
        self.world.api.request("DELETE", f"{home}/{user}-{role}")
        self._wait_may(user, role, expected=False)

    def _wait_may(self, user: str, role: str, *, expected: bool) -> None:
        """The authorizer of the API server reads roles from a cache."""
        what = "jobs.batch" if role == "jobs" else "workflows.flow.workflow.sh"
        deadline = time.monotonic() + 30
        while (self.run("auth", "can-i", "create", what, user=user, check=False).strip() == "yes") is not expected:
            assert time.monotonic() < deadline, f"{user} may {'not ' * expected}create {what} for 30 s"
            time.sleep(0.05)

    def run(self, *args: str, user: str, sent: Object | None = None, check: bool = True) -> str:
        """kubectl as that user, in this namespace; sent: a manifest for its standard input."""
        own = ("--as", user, "--as-group", "staff", "-n", self.world.namespace)
        return self.cluster.kubectl(*args, *own, input=json.dumps(sent) if sent else None, check=check)

    def apply(self, user: str, document: Object, *flags: str) -> str:
        return self.run("apply", *flags, "-f", "-", user=user, sent=document)

    def patch(self, user: str, what: str, change: Any, *flags: str) -> str:
        return self.run("patch", what, "--type=merge", "-p", json.dumps(change), *flags, user=user)

    def notes(self, what: str) -> dict[str, str]:
        found = json.loads(self.run("get", what, "-o", "json", user="bob"))["metadata"].get("annotations", {})
        return {name: json.loads(text)["user"] for name, text in found.items() if name in (CREATED_BY, EDITED_BY)}

    def refused(self, name: str, of: str, words: str, kind: str = "jobs.batch") -> None:
        """The flow waits because alice may not, and no job was ever made for it."""
        message = self.world.wait_flow(name, of, "Waiting", reason="NotAllowed")["message"]
        assert message.startswith(
            f"alice may not create {kind} in namespace {self.world.namespace} (kubectl auth can-i "
        )
        assert words in message
        blocked = next(one for one in self.world.status(name)["conditions"] if one["type"] == "Blocked")
        assert (blocked["status"], blocked["reason"]) == ("True", "NotAllowed")
        self.world.history.catch_up("jobs")
        made = [seen.object["metadata"]["name"] for seen in self.world.history.sightings("jobs")]
        assert not [job for job in made if job == f"{name}-{of}"], made


def serve(cluster: Cluster, log: Path, *flags: str) -> Iterator[None]:
    api = cluster.api()
    register(api)
    process = WebhookProcess(cluster, log, *flags)
    try:
        process.wait_called(api)
        yield
    finally:
        unregister(api)
        process.kill()
        print(process.log_text()[-20_000:])


def signed(document: Object, notes: dict[str, str]) -> Object:
    return {**document, "metadata": {**document["metadata"], "annotations": notes}}


def nested(name: str, of: str = "step", **metadata: Any) -> Object:
    """A WorkTemplate that makes a Workflow with the flow `inner`."""
    spec = {"gvr": NESTED, "metadata": metadata, "jobSpec": {"flows": [flow("inner", of=of)]}}
    return {"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "WorkTemplate", "metadata": {"name": name}, "spec": spec}
