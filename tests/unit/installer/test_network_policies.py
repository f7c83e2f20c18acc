"""The NetworkPolicies let through what the programs need, and nothing else.

`make test-install` compares the ports and the peers of this table with those of the running programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from hack.manifests.sources import CONTROLLER, NETWORK, objects
from tests.network_policies import OUTSIDE, Direction, Pod, allows

POLICIES = objects(*sorted((NETWORK / "manifests").glob("*.yaml")))


def pod_of(name: str) -> Pod:
    """A pod of one of the Deployments."""
    deployments = (each for each in objects(*sorted(CONTROLLER.glob("4*.yaml"))) if each["kind"] == "Deployment")
    (found,) = (each for each in deployments if each["metadata"]["name"] == name)
    template = found["spec"]["template"]
    (container,) = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    return Pod(found["metadata"]["namespace"], template["metadata"]["labels"], ports)


CONTROL, WEBHOOK = pod_of("workflow-controller"), pod_of("workflow-webhook")
PROMETHEUS = Pod("monitoring", {"app.kubernetes.io/name": "prometheus"})
JOB = Pod("team", {"flow.workflow.sh/workflow": "nightly"})
DNS = Pod("kube-system", {"k8s-app": "kube-dns"})
NEIGHBOUR = Pod("workflow-system", {"app": "intruder"})
IN: Direction = "Ingress"
OUT: Direction = "Egress"


@pytest.mark.parametrize(
    ("expected", "direction", "pod", "peer", "port"),
    [
        pytest.param(True, IN, CONTROL, PROMETHEUS, 8080, id="Prometheus scrapes the controller"),
        pytest.param(True, IN, CONTROL, OUTSIDE, 8081, id="the kubelet asks for the controller's health"),
        pytest.param(False, IN, CONTROL, OUTSIDE, 8080, id="nobody outside of the cluster reads metrics"),
        pytest.param(False, IN, CONTROL, JOB, 9443, id="the controller takes no other port"),
        pytest.param(True, IN, WEBHOOK, OUTSIDE, 9443, id="the API server calls the webhook"),
        pytest.param(True, IN, WEBHOOK, OUTSIDE, 8081, id="the kubelet asks for the webhook's health"),
        pytest.param(True, IN, WEBHOOK, PROMETHEUS, 8080, id="Prometheus scrapes the webhook"),
        pytest.param(False, IN, WEBHOOK, OUTSIDE, 22, id="the webhook takes no other port"),
        pytest.param(True, OUT, CONTROL, OUTSIDE, 443, id="the controller reaches the API server"),
        pytest.param(True, OUT, CONTROL, OUTSIDE, 6443, id="the controller reaches it behind its Service"),
        pytest.param(True, OUT, CONTROL, JOB, 12345, id="a probe of a workflow asks any port of a pod"),
        pytest.param(False, OUT, CONTROL, OUTSIDE, 80, id="the controller reaches nothing else outside"),
        pytest.param(True, OUT, WEBHOOK, OUTSIDE, 443, id="the webhook reaches the API server"),
        pytest.param(True, OUT, WEBHOOK, OUTSIDE, 6443, id="the webhook reaches it behind its Service"),
        pytest.param(False, OUT, WEBHOOK, JOB, 80, id="the webhook reaches no pod"),
        pytest.param(False, OUT, WEBHOOK, OUTSIDE, 80, id="the webhook reaches nothing else outside"),
        pytest.param(False, IN, NEIGHBOUR, JOB, 80, id="another pod of the namespace is not reached"),
        pytest.param(False, OUT, NEIGHBOUR, OUTSIDE, 443, id="another pod of the namespace reaches nothing"),
        pytest.param(True, IN, JOB, OUTSIDE, 80, id="the policies are for their namespace alone"),
    ],
)
def test_a_connection(expected: bool, direction: Direction, pod: Pod, peer: Pod | None, port: int) -> None:
    assert allows(POLICIES, direction, pod, peer, port) is expected


@pytest.mark.parametrize("pod", [CONTROL, WEBHOOK], ids=["controller", "webhook"])
def test_names_are_asked_by_udp_and_tcp(pod: Pod) -> None:
    assert allows(POLICIES, OUT, pod, DNS, 53, "UDP")
    assert allows(POLICIES, OUT, pod, DNS, 53)
    assert not allows(POLICIES, OUT, pod, OUTSIDE, 53, "UDP")


def policy(**spec: Any) -> Mapping[str, Any]:
    wanted = {"podSelector": {}, "policyTypes": ["Ingress"], **spec}
    return {"metadata": {"namespace": "a"}, "spec": wanted}


HERE, THERE = Pod("a", {"app": "x"}, {"http": 8080}), Pod("b", {"app": "y"})


@pytest.mark.parametrize(
    ("expected", "policies"),
    [
        pytest.param(True, [], id="no policy allows everything"),
        pytest.param(False, [policy()], id="a policy without rules allows nothing"),
        pytest.param(True, [policy(ingress=[{}])], id="an empty rule allows everything"),
        pytest.param(True, [policy(), policy(ingress=[{}])], id="one policy that allows is enough"),
        pytest.param(True, [policy(podSelector={"matchLabels": {"app": "z"}})], id="a policy for other pods"),
        pytest.param(True, [policy(policyTypes=["Egress"])], id="a policy for the other direction"),
        pytest.param(True, [policy(ingress=[{"ports": [{"port": "http"}]}])], id="the name of the port"),
        pytest.param(False, [policy(ingress=[{"ports": [{"port": "https"}]}])], id="another name"),
        pytest.param(False, [policy(ingress=[{"ports": [{"port": 8080, "protocol": "UDP"}]}])], id="the protocol"),
        pytest.param(False, [policy(ingress=[{"from": [{"podSelector": {}}]}])], id="pods of its own namespace"),
        pytest.param(True, [policy(ingress=[{"from": [{"namespaceSelector": {}}]}])], id="pods of any namespace"),
    ],
)
def test_how_policies_are_read(expected: bool, policies: list[Mapping[str, Any]]) -> None:
    assert allows(policies, IN, HERE, THERE, 8080) is expected


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, id="an address"),
        pytest.param({"ports": [{"port": 1, "endPort": 9}]}, id="a range of ports"),
        pytest.param({"from": [{"namespaceSelector": {"matchExpressions": []}}]}, id="an expression"),
    ],
)
def test_what_is_not_known_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not known here"):
        allows([policy(ingress=[rule])], IN, HERE, THERE, 8080)
