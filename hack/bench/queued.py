"""The API server lets few calls of the controller run at a time, and the others wait in its queues (API Priority and
Fairness): throughput beside the floor, which waits in the same queues, and the Lease.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from hack.bench import slow
from hack.cluster import Cluster
from hack.cluster.api import Api

_NAME: Final = "bench-queued"
# Administrators of the local control plane are exempt from queues, so both sides act as somebody else.
_USER: Final = {"as": _NAME, "as-groups": [_NAME]}
_FLOW_CONTROL: Final = "flowcontrol.apiserver.k8s.io/v1"
_RIGHTS: Final = "rbac.authorization.k8s.io/v1"
# The local control plane has no queues unless it is asked for them.
FLAGS: Final = (
    "kube-apiserver=enable-priority-and-fairness=true",
    "kube-apiserver=max-requests-inflight=400",
    "kube-apiserver=max-mutating-requests-inflight=200",
)
# Of some 250 shares in all, for 600 calls at a time: three of ours run at once.
_SHARES: Final = 1
_WAITS: Final = "apiserver_flowcontrol_request_wait_duration_seconds"
# A call that does not wait takes some microseconds all the same. This is the first bucket above zero.
_AT_ONCE: Final = "0.005"


def measure(cluster: Cluster, *, rounds: int = 1) -> dict[str, float]:
    """Prints the figures; returns the lowest rate beside the floor by the name of its bound. The cluster has to be
    started with FLAGS. SystemExit if the controller lost its Lease, or workflows did not succeed, or no call had to
    wait.
    """
    title = "3 calls at a time, the others queued"
    with (
        _queues(cluster.api()),
        slow.SlowProxy(cluster.kubeconfig, cluster.folder / "queued-proxy", delay=0.0, user=_USER) as proxy,
    ):
        share = slow.beside_floor(cluster, proxy, title, rounds)
        before = _waited(cluster.api())
        rate = slow.with_election(cluster, proxy, "queued", "while its calls waited in queues")
        waited = _waited(cluster.api()) - before
    if not waited:
        raise SystemExit("no call waited in a queue of the API server, so the figures say nothing")
    print(
        f"slow: chains, {title}, {waited} calls waited for more than 5 ms: {rate:.0f} tasks/s, the Lease was kept",
        flush=True,
    )
    return {"queued rate": share}


@contextmanager
def _queues(api: Api) -> Iterator[None]:
    """A priority level of its own for our user, and all rights."""
    with ExitStack() as stack:
        for plural, one in _objects():
            path = f"/apis/{one['apiVersion']}/{plural}"
            api.request("POST", path, one)
            stack.callback(api.request, "DELETE", f"{path}/{one['metadata']['name']}")
        time.sleep(2.0)  # the API server reads its own configuration by a watch
        yield


def _objects() -> Iterator[tuple[str, dict[str, Any]]]:
    """Plural and object."""
    meta = {"name": _NAME}
    admin = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    group = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": _NAME}
    yield (
        "clusterrolebindings",
        {"apiVersion": _RIGHTS, "kind": "ClusterRoleBinding", "metadata": meta, "roleRef": admin, "subjects": [group]},
    )
    queuing = {"queues": 16, "handSize": 4, "queueLengthLimit": 100}
    limited = {
        "nominalConcurrencyShares": _SHARES,
        "lendablePercent": 0,
        "borrowingLimitPercent": 0,
        "limitResponse": {"type": "Queue", "queuing": queuing},
    }
    yield (
        "prioritylevelconfigurations",
        {
            "apiVersion": _FLOW_CONTROL,
            "kind": "PriorityLevelConfiguration",
            "metadata": meta,
            "spec": {"type": "Limited", "limited": limited},
        },
    )
    every = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    rule = {
        "subjects": [{"kind": "User", "user": {"name": _NAME}}],
        "resourceRules": [every],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
    spec = {
        "matchingPrecedence": 10,
        "priorityLevelConfiguration": {"name": _NAME},
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [rule],
    }
    yield "flowschemas", {"apiVersion": _FLOW_CONTROL, "kind": "FlowSchema", "metadata": meta, "spec": spec}


def _waited(api: Api) -> int:
    """How many calls have waited for more than 5 ms so far."""
    waited = 0.0
    for family in text_string_to_metric_families(api.request("GET", "/metrics").decode()):
        for sample in family.samples:
            if sample.labels.get("priority_level") != _NAME:
                continue
            if sample.name == f"{_WAITS}_count":
                waited += sample.value
            elif sample.name == f"{_WAITS}_bucket" and sample.labels["le"] == _AT_ONCE:
                waited -= sample.value
    return round(waited)
