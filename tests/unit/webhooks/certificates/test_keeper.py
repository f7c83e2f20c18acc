"""Replicas that keep one certificate, interleaved at every API call, on objects with versions like the API server's.

At every moment each certificate that a replica uses has to be trusted by every configuration, from its first injection
on. Who writes is decided by the versions alone.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

import msgspec
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from pkg.apis.meta import GVR
from pkg.kube.client import Client
from pkg.kube.errors import Conflict, Forbidden, KubeError, NotFound
from pkg.serving.tls import load, new_context
from pkg.webhooks.certificates.injection import Injector
from pkg.webhooks.certificates.issue import authorities
from pkg.webhooks.certificates.keeper import Keeper, Place
from pkg.webhooks.certificates.plan import Policy

NAMES = frozenset({"workflow-webhook"})
POLICY = Policy.of(90 * 86400.0)
PLACE = Place("workflow-system", "workflow-webhook-tls")
RESOURCES = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")


@dataclass
class Cluster:
    """The three objects, and what happens right before a call."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    version: int = 0
    writes: int = 0
    before_call: Callable[[], None] = lambda: None
    refused: set[str] = field(default_factory=set)

    def put(self, resource: str, **content: Any) -> None:
        self.version += 1
        metadata = {**content.pop("metadata", {}), "name": resource, "resourceVersion": str(self.version)}
        self.objects[resource] = {**content, "metadata": metadata}

    def get(self, gvr: GVR, _namespace: str | None, _name: str, kind: type[Any]) -> Any:
        self.before_call()
        return msgspec.convert(self._found(gvr), kind)

    def replace(self, gvr: GVR, _namespace: str, _name: str, body: Mapping[str, Any], _kind: type[Any]) -> Any:
        self.before_call()
        self._check(gvr, body)
        self.writes += 1
        self.put(gvr.resource, **json.loads(json.dumps(body)))

    def patch(
        self,
        gvr: GVR,
        _namespace: None,
        _name: str,
        body: bytes,
        *,
        content_type: str,
        type: type[Any],  # noqa: A002
    ) -> Any:
        self.before_call()
        assert content_type == "application/strategic-merge-patch+json"
        patch = json.loads(body)
        self._check(gvr, patch)
        self.writes += 1
        found = self._found(gvr)
        changes = {webhook["name"]: webhook["clientConfig"] for webhook in patch["webhooks"]}
        for webhook in found["webhooks"]:
            merged = {**webhook["clientConfig"], **changes[webhook["name"]]}
            webhook["clientConfig"] = {key: value for key, value in merged.items() if value is not None}
        self.put(gvr.resource, **found)
        return msgspec.convert(found, type)

    def _found(self, gvr: GVR) -> dict[str, Any]:
        if gvr.resource in self.refused:
            raise Forbidden("no", status=403)
        if gvr.resource not in self.objects:
            raise NotFound("not found", status=404)
        return cast("dict[str, Any]", json.loads(json.dumps(self.objects[gvr.resource])))

    def _check(self, gvr: GVR, body: Mapping[str, Any]) -> None:
        if body["metadata"]["resourceVersion"] != self._found(gvr)["metadata"]["resourceVersion"]:
            raise Conflict("changed", status=409)

    def trusted(self, resource: str) -> list[set[str]]:
        """The CAs that each webhook trusts."""
        configs = [webhook["clientConfig"] for webhook in self.objects[resource]["webhooks"]]
        return [set(_authorities(config.get("caBundle", ""))) for config in configs]


def new_cluster(**annotations: str) -> Cluster:
    """As installed: an empty Secret, and configurations that trust nobody."""
    cluster = Cluster()
    cluster.put("secrets", type="Opaque", data={"mine": "eA=="})
    for resource in RESOURCES:
        service = {"name": "workflow-webhook", "namespace": "workflow-system", "path": "/x", "port": 443}
        webhooks = [{"name": f"{n}.flow.workflow.sh", "clientConfig": {"service": service}} for n in ("one", "two")]
        cluster.put(resource, webhooks=webhooks, metadata={"annotations": annotations})
    return cluster


@dataclass
class Replica:
    """One keeper, and the certificate that it uses."""

    cluster: Cluster
    clock: Callable[[], float]
    options: Mapping[str, Any] = field(default_factory=lambda: {"is_writing": True})
    used: list[bytes] = field(default_factory=list)
    loads: bool = False

    def __post_init__(self) -> None:
        client = cast("Client", self.cluster)
        injector = Injector(client, "workflow-webhook", **self.options)
        self.keeper = Keeper(client, PLACE, NAMES, POLICY, injector, self._use, self.clock)

    def _use(self, certificate: bytes, key: bytes) -> None:
        if self.loads:  # as the server does
            load(new_context(), certificate, key)
        self.used.append(certificate)

    def passes(self, count: int = 8) -> None:
        """So many passes; a failed call ends one."""
        for _ in range(count):
            try:
                if not self.keeper.step():
                    return
            except KubeError:
                return


def issuer(certificate: bytes, cluster: Cluster) -> set[str]:
    """The CAs in the cluster that have signed this certificate."""
    webhooks = [webhook for resource in RESOURCES for webhook in cluster.objects[resource]["webhooks"]]
    bundles = {webhook["clientConfig"].get("caBundle", "") for webhook in webhooks}
    return set().union(*(_signers(certificate, bundle) for bundle in bundles))


@functools.cache
def _signers(certificate: bytes, bundle: str) -> frozenset[str]:
    leaf, found = x509.load_pem_x509_certificate(certificate), set()
    for fingerprint, pem in _authorities(bundle).items():
        try:
            leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(pem))
            found.add(fingerprint)
        except (ValueError, InvalidSignature):
            continue
    return frozenset(found)


@functools.cache
def _authorities(bundle: str) -> dict[str, bytes]:
    return authorities(msgspec.convert(bundle, bytes))


def test_a_first_pass_makes_a_certificate_and_everybody_trusts_it() -> None:
    cluster = new_cluster()
    replica = Replica(cluster, lambda: 1000.0)
    assert replica.keeper.lacks()
    replica.passes()
    replica.passes()
    [certificate] = replica.used
    assert replica.keeper.lacks() is None
    bundles = [bundle for resource in RESOURCES for bundle in cluster.trusted(resource)]
    assert bundles == [issuer(certificate, cluster)] * 4
    assert cluster.objects["secrets"]["data"]["mine"] == "eA=="
    service = cluster.objects[RESOURCES[0]]["webhooks"][0]["clientConfig"]["service"]
    assert service["path"] == "/x"


def test_a_stored_certificate_that_openssl_cannot_read_is_made_anew() -> None:
    cluster = new_cluster()
    Replica(cluster, lambda: 1000.0).passes()
    data = cluster.objects["secrets"]["data"]
    garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    data["tls.crt"] = base64.b64encode(base64.b64decode(data["tls.crt"]) + garbage).decode()
    replica = Replica(cluster, lambda: 1000.0, loads=True)
    replica.passes()
    replica.passes()
    assert replica.keeper.lacks() is None
    assert issuer(replica.used[-1], cluster)


def test_nothing_is_written_when_nothing_changed() -> None:
    cluster = new_cluster()
    replica = Replica(cluster, lambda: 1000.0)
    replica.passes()
    replica.passes()
    before = cluster.writes
    for _ in range(5):
        replica.passes()
        Replica(cluster, lambda: 1000.0).passes()
    assert cluster.writes == before == 3


@pytest.mark.parametrize(
    ("options", "annotations"),
    [
        pytest.param({"is_writing": False}, {}, id="by the flag"),
        pytest.param(
            {"is_writing": True}, {"cert-manager.io/inject-ca-from": "a/b"}, id="by cert-manager's annotation"
        ),
    ],
)
def test_bundles_of_others_are_left_alone(options: Mapping[str, Any], annotations: dict[str, str]) -> None:
    cluster = new_cluster(**annotations)
    replica = Replica(cluster, lambda: 1000.0, options)
    replica.passes()
    assert cluster.writes == 1
    assert cluster.trusted(RESOURCES[0]) == [set(), set()]


def test_a_local_url_takes_the_place_of_the_service_once_its_ca_is_trusted() -> None:
    cluster = new_cluster()
    first, second = (
        Replica(cluster, lambda: 1000.0, {"is_writing": True, "local_url": f"https://127.0.0.1:{port}"})
        for port in (1, 2)
    )
    for replica in (first, first, first, second, second, first):
        replica.passes()
    config = cluster.objects[RESOURCES[1]]["webhooks"][1]["clientConfig"]
    assert (config["url"], "service" in config) == ("https://127.0.0.1:2/x", False)


@pytest.mark.parametrize(
    "refused", ["secrets", *RESOURCES], ids=["the Secret", "one configuration", "the other configuration"]
)
def test_what_cannot_be_read_stops_a_rotation_and_not_the_service(refused: str) -> None:
    cluster, now = new_cluster(), [1000.0]
    replica = Replica(cluster, lambda: now[0])
    replica.passes()
    replica.passes()
    cluster.refused.add(refused)
    for _ in range(10):
        now[0] += 7 * 86400
        replica.passes()
    assert len(replica.used) == 1
    cluster.refused.clear()
    for _ in range(4):
        now[0] += POLICY.grace
        replica.passes()
    assert len(replica.used) == 2


@pytest.mark.parametrize("seed", range(5))
def test_a_certificate_in_use_is_always_trusted_however_replicas_interleave(seed: int) -> None:
    random = Random(seed)
    cluster, now = new_cluster(), [1000.0]
    replicas = [Replica(cluster, lambda: now[0]) for _ in range(3)]
    busy: list[int] = []

    def run(number: int) -> None:
        busy.append(number)
        replicas[number].passes(1)
        busy.remove(number)

    def others() -> None:
        """Before any call, a replica that is not within a pass may do a whole one."""
        free = [number for number in range(3) if number not in busy]
        if free and random.random() < 0.25:
            run(random.choice(free))

    def check() -> None:
        bundles = [bundle for resource in RESOURCES for bundle in cluster.trusted(resource)]
        for replica in replicas:
            [authority] = issuer(replica.used[-1], cluster)
            assert all(authority in bundle for bundle in bundles)

    cluster.before_call = others
    for _ in range(10):
        for number in random.sample(range(3), 3):
            run(number)
    assert len({replica.used[-1] for replica in replicas}) == 1

    def check_and_others() -> None:
        check()
        others()

    cluster.before_call = check_and_others
    for _ in range(40):
        now[0] += random.choice((20.0, 40.0, 600.0, 10 * 86400.0, 10 * 86400.0))
        for number in random.sample(range(3), 3):
            run(number)
        check()
    assert len(set(replicas[0].used)) > 1
