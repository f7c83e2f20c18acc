"""What NetworkPolicies allow, by the rules of networking.k8s.io/v1. Pure: no network is asked, so no plugin is needed.

It reads what the policies in installer/ use. A field that it does not know is an error, and never passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Policy = Mapping[str, Any]
Direction = Literal["Ingress", "Egress"]


@dataclass(frozen=True, slots=True)
class Pod:
    """One end of a connection. `ports` maps the names of its containers' ports to numbers."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)


OUTSIDE = None
"""The other end of a connection that is no pod: a node, the control plane, the internet."""


def allows(
    policies: Iterable[Policy],
    direction: Direction,
    pod: Pod,
    peer: Pod | None,
    port: int,
    protocol: str = "TCP",
) -> bool:
    """Whether `pod` may accept a connection of `peer` on `port` (Ingress), or open one to it there (Egress).

    Raises ValueError for a policy with a field that is not known here.
    """
    chosen = [each for each in policies if direction in each["spec"]["policyTypes"] and _selects(each, pod)]
    if not chosen:
        return True
    way, other = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    owner = pod if direction == "Ingress" else peer
    for policy in chosen:
        _known(policy["spec"], {"podSelector", "policyTypes", "ingress", "egress"})
        for rule in policy["spec"].get(way, ()):
            _known(rule, {other, "ports"})
            peers = rule.get(other)
            if (not peers or any(_is_peer(each, policy, peer) for each in peers)) and _has_port(
                rule.get("ports"), owner, port, protocol
            ):
                return True
    return False


def _selects(policy: Policy, pod: Pod) -> bool:
    return policy["metadata"]["namespace"] == pod.namespace and _matches(policy["spec"]["podSelector"], pod.labels)


def _matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    _known(selector, {"matchLabels"})
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def _is_peer(wanted: Mapping[str, Any], policy: Policy, peer: Pod | None) -> bool:
    """Selectors never mean an address outside of the pods."""
    _known(wanted, {"namespaceSelector", "podSelector"})
    if peer is None:
        return False
    if "namespaceSelector" in wanted:
        # Every namespace has this label, which the API server sets.
        is_there = _matches(wanted["namespaceSelector"], {"kubernetes.io/metadata.name": peer.namespace})
    else:
        is_there = peer.namespace == policy["metadata"]["namespace"]
    return is_there and _matches(wanted.get("podSelector", {}), peer.labels)


def _has_port(wanted: Sequence[Mapping[str, Any]] | None, owner: Pod | None, port: int, protocol: str) -> bool:
    """A port's name is that of a container of the pod that is connected to."""
    for each in wanted or ():
        _known(each, {"protocol", "port"})
        number = each.get("port", port)
        if isinstance(number, str):
            number = owner.ports.get(number) if owner else None
        if number == port and each.get("protocol", "TCP") == protocol:
            return True
    return not wanted


def _known(found: Mapping[str, Any], names: set[str]) -> None:
    if unknown := set(found) - names:
        raise ValueError(f"{', '.join(sorted(unknown))}: not known here; known are {', '.join(sorted(names))}")
