"""People with tokens of their own: service accounts with some rights in one namespace."""

from __future__ import annotations

import json
from typing import Final

from tests.cluster.support.history import Object
from tests.cluster.support.world import World

RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"
READ: Final[Object] = {"apiGroups": ["flow.workflow.sh"], "resources": ["workflows"], "verbs": ["get", "list", "watch"]}
CHANGE: Final[Object] = {"apiGroups": ["flow.workflow.sh"], "resources": ["workflows"], "verbs": ["patch"]}


def token_of(world: World, name: str, *rules: Object) -> str:
    """The token of a new service account with these rights in its namespace."""
    home = f"/api/v1/namespaces/{world.namespace}/serviceaccounts"
    world.api.request("POST", home, {"metadata": {"name": name}})
    if rules:
        allow(world, name, *rules)
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = world.api.request("POST", f"{home}/{name}/token", wanted)
    return str(json.loads(answer)["status"]["token"])


def allow(world: World, name: str, *rules: Object) -> None:
    """Gives a service account these rights in its namespace."""
    role = {"metadata": {"name": name}, "rules": list(rules)}
    world.api.request("POST", f"{RBAC}/namespaces/{world.namespace}/roles", role)
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": world.namespace}],
    }
    world.api.request("POST", f"{RBAC}/namespaces/{world.namespace}/rolebindings", binding)
