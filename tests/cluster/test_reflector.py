"""The reflector and the informers against a real API server: its versions, pages, restarts and CRDs."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from hack.cluster import Cluster
from pkg.apis.meta import GVR, ObjectMeta
from pkg.controllers.engine.backoff import Backoff
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.listwatch import NoReflectorMetrics
from pkg.controllers.engine.reflector import Reflector
from pkg.controllers.engine.reflector_options import READ_TIMEOUT, ByOwner, EventHandlers, Source, Timing
from pkg.controllers.engine.store import Store
from pkg.kube.client import MERGE_PATCH, Client
from pkg.kube.config import load_config
from pkg.kube.discovery import Discovery
from pkg.kube.errors import KubeError, NotFound, NotServed

pytestmark = pytest.mark.cluster

CONFIG_MAPS = GVR("", "v1", "configmaps")
CRDS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")
GADGETS = GVR("reflector.test", "v1", "gadgets")
LABEL, LABELLED = "reflector-test", "yes"
SELECTOR = f"{LABEL}={LABELLED}"
QUICK = Backoff(base=0.05, cap=0.5, jitter=0.5)


class ConfigMap(msgspec.Struct, frozen=True):
    """What these tests look at."""

    metadata: ObjectMeta
    data: dict[str, str] = {}


class Relists(NoReflectorMetrics):
    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.lists = 0
        self.watches = 0

    def watched(self, gvr: GVR) -> None:
        self.watches += 1

    def listed(self, gvr: GVR, objects: int, seconds: float) -> None:
        self.lists += 1

    def relisted(self, gvr: GVR, reason: str) -> None:
        self.reasons.append(reason)


class Watched:
    """A running reflector of the labelled ConfigMaps of one namespace, and the changes that it reported."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        *,
        page_limit: int = 500,
        read_timeout: float = READ_TIMEOUT,
        failing: Backoff = QUICK,
    ) -> None:
        self.store: Store[ConfigMap] = Store({"value": lambda obj: (obj.data.get("value", ""),)})
        self.deltas: list[Delta[ConfigMap]] = []
        self.relists = Relists()
        self.owners: list[str] = []
        self.reflector = Reflector(
            client,
            Source(CONFIG_MAPS, namespace, SELECTOR, page_limit, by_owner=ByOwner(LABEL)),
            ConfigMap,
            self.store,
            EventHandlers(self.take, on_owners=lambda _gvr, owners: self.owners.extend(owners.keys.values())),
            timing=Timing(read_timeout=read_timeout, failing=failing),
            metrics=self.relists,
        )

    def take(self, _gvr: GVR, deltas: Sequence[Delta[ConfigMap]]) -> None:
        self.deltas.extend(deltas)

    def names(self) -> list[str]:
        return sorted(obj.metadata.name for obj in self.store.values())

    def __enter__(self) -> Watched:
        self.reflector.start()
        assert self.reflector.wait_synced(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.reflector.stop()
        assert self.reflector.join(5)


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of its own, because its API server is killed."""
    with Cluster.start(tmp_path_factory.mktemp("reflector"), nodes=1) as cluster:
        yield cluster


@pytest.fixture
def client(own_cluster: Cluster) -> Iterator[Client]:
    client = Client(load_config(str(own_cluster.kubeconfig)), user_agent="reflector-test")
    yield client
    client.abort()


@pytest.fixture
def namespace(client: Client, request: pytest.FixtureRequest) -> str:
    name = str(request.node.name).replace("_", "-")[:50].rstrip("-")
    client.create(GVR("", "v1", "namespaces"), None, {"metadata": {"name": name}}, msgspec.Raw)
    return name


def make(client: Client, namespace: str, name: str, value: str = "") -> ConfigMap:
    body: dict[str, Any] = {"metadata": {"name": name, "labels": {LABEL: LABELLED}}, "data": {"value": value}}
    return client.create(CONFIG_MAPS, namespace, body, ConfigMap)


def set_value(client: Client, obj: ConfigMap, value: str) -> ConfigMap:
    body = msgspec.json.encode({"data": {"value": value}})
    meta = obj.metadata
    return client.patch(CONFIG_MAPS, meta.namespace, meta.name, body, content_type=MERGE_PATCH, type=ConfigMap)


def until(fact: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait for a fact; returns the seconds it took."""
    started = time.monotonic()
    pause = threading.Event()
    while not fact():
        assert time.monotonic() - started < seconds
        pause.wait(0.005)
    return time.monotonic() - started


def kill_api_server(cluster: Cluster) -> None:
    """Kill -9 the API server and wait until its port is free: the process may be gone before its last thread is."""
    cluster.stop_component("kube-apiserver")
    address = urlsplit(cluster.server)

    def is_free() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((address.hostname, address.port)) != 0

    until(is_free)


def test_a_store_follows_objects_through_their_life(client: Client, namespace: str) -> None:
    first = make(client, namespace, "first", "1")
    client.create(CONFIG_MAPS, namespace, {"metadata": {"name": "unlabelled"}}, msgspec.Raw)
    with Watched(client, namespace) as watched:
        assert watched.names() == ["first"]
        second = make(client, namespace, "second", "1")
        until(lambda: watched.names() == ["first", "second"])
        changed = set_value(client, first, "2")
        until(lambda: watched.store.by_index("value", "2") == (changed,))
        client.delete(CONFIG_MAPS, namespace, "first", uid=first.metadata.uid)
        until(lambda: watched.names() == ["second"])
        *_, last = watched.deltas
        assert last.old == changed
        assert last.final is not None
        assert last.final.data == {"value": "2"}
        assert int(last.final.metadata.resource_version) > int(changed.metadata.resource_version)
        assert watched.store.values() == (second,)
        assert watched.relists.reasons == []


def test_the_watch_event_of_an_absorbed_write_changes_nothing(client: Client, namespace: str) -> None:
    with Watched(client, namespace) as watched:
        made = make(client, namespace, "mine", "1")
        absorbed = watched.store.absorb(made)
        marker = make(client, namespace, "marker")
        until(lambda: "marker" in watched.names())
        keys = [delta.key for delta in watched.deltas]
        assert keys.count(made.metadata.key) + (absorbed is not None) == 1
        assert keys.count(marker.metadata.key) == 1


def test_a_label_that_goes_and_comes_back_is_a_deletion_and_an_addition(client: Client, namespace: str) -> None:
    obj = make(client, namespace, "sometimes")

    def label(value: str | None) -> None:
        body = msgspec.json.encode({"metadata": {"labels": {LABEL: value}}})
        client.patch(CONFIG_MAPS, namespace, "sometimes", body, content_type=MERGE_PATCH, type=msgspec.Raw)

    with Watched(client, namespace) as watched:
        label(None)
        until(lambda: watched.names() == [])
        label(LABELLED)
        until(lambda: watched.names() == ["sometimes"])
        found = watched.store.get(obj.metadata.key)
        assert found is not None
        assert found.metadata.uid == obj.metadata.uid


def test_a_list_in_pages_misses_nothing(client: Client, namespace: str) -> None:
    names = sorted(f"cm-{number:02}" for number in range(13))
    for name in names:
        make(client, namespace, name)
    with Watched(client, namespace, page_limit=3) as watched:
        assert watched.names() == names
        assert watched.relists.lists == 1


class Slow:
    """A client whose lists have something happen before their second page."""

    def __init__(self, client: Client, meanwhile: Callable[[], object]) -> None:
        self._client = client
        self._meanwhile = meanwhile

    def list_page(self, *given: Any, **how: Any) -> Any:
        if how.get("continue_"):
            self._meanwhile()
        return self._client.list_page(*given, **how)

    def watch(self, *given: Any, **how: Any) -> Any:
        return self._client.watch(*given, **how)


def test_a_first_list_is_complete_with_what_was_made_while_it_was_read(client: Client, namespace: str) -> None:
    judge_first_list(client, namespace)


def test_a_first_list_is_complete_although_more_is_made_all_the_time(client: Client, namespace: str) -> None:
    ended = threading.Event()

    def be_busy() -> None:
        for number in itertools.count():
            if ended.wait(0.01):
                return
            made = make(client, namespace, f"busy-{number}")
            client.delete(CONFIG_MAPS, namespace, made.metadata.name, uid=made.metadata.uid)

    busy = threading.Thread(target=be_busy)
    busy.start()
    try:
        judge_first_list(client, namespace)
    finally:
        ended.set()
        busy.join()


def judge_first_list(client: Client, namespace: str) -> None:
    for name in ("a", "b", "c"):
        make(client, namespace, name)
    made: list[ConfigMap] = []

    def meanwhile() -> None:
        made.append(make(client, namespace, f"late-{len(made)}"))

    slow: Any = Slow(client, meanwhile)
    with Watched(slow, namespace, page_limit=2) as watched:
        assert {one.metadata.key for one in made} <= set(watched.store.keys())
        assert watched.relists.lists == 1
    assert made


def test_what_an_owner_has_made_is_read_as_of_a_version_that_the_watch_has_not_told(
    client: Client, namespace: str
) -> None:
    """The watch tells nothing as long as nothing of the kind changes, while versions go on with every other kind."""
    make(client, namespace, "mine")
    with Watched(client, namespace) as watched:
        other = client.create(GVR("", "v1", "secrets"), namespace, {"metadata": {"name": "other"}}, ConfigMap)
        since = int(other.metadata.resource_version)
        assert not watched.reflector.knows(LABELLED, since)
        watched.reflector.ask(LABELLED, "team/owner", since, 1)
        until(lambda: watched.owners == ["team/owner"])
        assert watched.reflector.knows(LABELLED, since)
        # As after a backup was restored: this version is of a future that never came.
        watched.reflector.ask(LABELLED, "team/other", since + 1_000_000, 1)
        until(lambda: watched.owners == ["team/owner", "team/other"])
        assert watched.reflector.knows(LABELLED, since + 1_000_000)


def test_a_killed_api_server_loses_nothing(own_cluster: Cluster, client: Client, namespace: str) -> None:
    kept, changing, leaving = (make(client, namespace, name, "1") for name in ("kept", "changing", "leaving"))
    other = Client(load_config(str(own_cluster.kubeconfig)), user_agent="reflector-test-writer")
    with Watched(client, namespace) as watched:
        kill_api_server(own_cluster)
        with pytest.raises(KubeError):
            other.list_page(CONFIG_MAPS, namespace, msgspec.Raw)
        own_cluster.start_component("kube-apiserver")
        changed = set_value(other, changing, "2")
        other.delete(CONFIG_MAPS, namespace, "leaving", uid=leaving.metadata.uid)
        new = make(other, namespace, "new", "1")
        took = until(lambda: watched.names() == ["changing", "kept", "new"], 30)
        assert {obj.metadata.name: obj for obj in watched.store.values()} == {
            "kept": kept,
            "changing": changed,
            "new": new,
        }
        assert set(watched.relists.reasons) <= {"gone"}
        assert len(watched.relists.reasons) <= 1
        print(f"caught up {took:.2f} s after the API server was back; relists: {watched.relists.reasons}")
    other.abort()


def test_a_version_that_is_too_old_costs_one_list(own_cluster: Cluster, client: Client, namespace: str) -> None:
    first, second = (make(client, namespace, name) for name in ("first", "second"))
    # It retries only when woken. By then the server no longer has the version from which the watch would resume.
    with Watched(client, namespace, failing=Backoff(base=300.0, cap=300.0)) as watched:
        until(lambda: watched.relists.watches == 1)
        for number in range(3):
            client.create(CONFIG_MAPS, namespace, {"metadata": {"name": f"unlabelled-{number}"}}, msgspec.Raw)
        kill_api_server(own_cluster)
        own_cluster.start_component("kube-apiserver")
        client.delete(CONFIG_MAPS, namespace, "second", uid=second.metadata.uid)
        new = make(client, namespace, "third")
        watched.reflector.retry_now()
        until(lambda: watched.names() == ["first", "third"])
        assert watched.relists.reasons == ["gone"]
        assert watched.relists.lists == 2
        assert watched.deltas[2:] == [
            Delta(second.metadata.key, second, None, None, "relist"),
            Delta(new.metadata.key, None, new),
        ]
        assert watched.store.get(first.metadata.key) == first


def test_a_server_that_falls_silent_is_noticed(own_cluster: Cluster, client: Client, namespace: str) -> None:
    with Watched(client, namespace, read_timeout=0.5) as watched:
        (pid,) = own_cluster.pids("kube-apiserver")
        os.kill(pid, signal.SIGSTOP)
        try:
            before = watched.relists.watches
            threading.Event().wait(1.0)
        finally:
            os.kill(pid, signal.SIGCONT)
        make(client, namespace, "afterwards")
        until(lambda: watched.names() == ["afterwards"])
        assert watched.relists.watches > before
        assert watched.relists.reasons == []


def crd() -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.reflector.test"},
        "spec": {
            "group": "reflector.test",
            "scope": "Namespaced",
            "names": {"plural": "gadgets", "kind": "Gadget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


class _Established(msgspec.Struct, frozen=True):
    status: dict[str, Any] = {}


def install_crd(client: Client) -> None:
    client.create(CRDS, None, crd(), msgspec.Raw)

    def is_established() -> bool:
        found = client.get(CRDS, None, "gadgets.reflector.test", _Established)
        conditions = found.status.get("conditions") or []  # null for a moment
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    until(is_established)


def make_gadget(client: Client, namespace: str) -> None:
    body = {"apiVersion": "reflector.test/v1", "kind": "Gadget", "metadata": {"name": "g"}}

    def is_made() -> bool:
        try:
            client.create(GADGETS, namespace, body, msgspec.Raw)
        except KubeError:
            return False
        return True

    until(is_made)


def test_a_kind_comes_goes_and_comes_again(client: Client, namespace: str) -> None:
    deltas: list[Delta[ConfigMap]] = []
    gone: list[GVR] = []
    discovery = Discovery(client)

    def is_absent(gvr: GVR) -> bool:
        discovery.refresh(gvr)
        try:
            discovery.resolve(gvr)
        except NotServed:
            return True
        return False

    informers: InformerSet[ConfigMap] = InformerSet(
        client,
        None,
        ConfigMap,
        EventHandlers(lambda gvr, found: deltas.extend(found), on_gone=gone.append, is_absent=is_absent),
    )
    store = informers.ensure(GADGETS)
    until(lambda: informers.is_gone(GADGETS))
    assert informers.wait_synced(CONFIG_MAPS, 5), "another kind is not held up"

    install_crd(client)
    took = until(lambda: informers.is_synced(GADGETS), 20)
    print(f"picked up {took:.2f} s after Established")
    make_gadget(client, namespace)
    until(lambda: len(store) == 1)
    assert not informers.is_gone(GADGETS)

    client.delete(CRDS, None, "gadgets.reflector.test", uid=None)
    until(lambda: informers.is_gone(GADGETS))
    assert len(store) == 0
    gadget = [delta for delta in deltas if delta.key == f"{namespace}/g"]
    assert [delta.new is not None for delta in gadget][-1] is False
    assert gone == [GADGETS, GADGETS]

    until(lambda: _is_missing(client))
    install_crd(client)
    make_gadget(client, namespace)
    until(lambda: len(store) == 1, 20)
    informers.stop()
    assert informers.join(1)
    client.delete(CRDS, None, "gadgets.reflector.test", uid=None)


def _is_missing(client: Client) -> bool:
    try:
        client.get(CRDS, None, "gadgets.reflector.test", msgspec.Raw)
    except NotFound:
        return True
    return False
