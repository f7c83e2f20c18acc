"""Which kinds are served, and how often the server is asked."""

from __future__ import annotations

from typing import TypeVar, cast

import msgspec
import pytest

from pkg.apis.meta import GVR
from pkg.kube.client import Client, Page
from pkg.kube.discovery import QUIET_SECONDS, Discovery, Resource, is_built_in
from pkg.kube.errors import Forbidden, KubeError, NotServed, Transient, Unrecognized

T = TypeVar("T")
JOBS = GVR("batch", "v1", "jobs")
LISTED = msgspec.json.encode(
    {
        "kind": "APIResourceList",
        "groupVersion": "batch/v1",
        "resources": [
            {"name": "jobs", "singularName": "", "namespaced": True, "kind": "Job", "verbs": ["create", "list"]},
            {"name": "jobs/status", "namespaced": True, "kind": "Job", "verbs": ["get"]},
        ],
    }
)
THINGS = GVR("example.org", "v1", "things")
GROUPS = msgspec.json.encode(
    {"kind": "APIGroupList", "groups": [{"name": "batch", "versions": [{"groupVersion": "batch/v1", "version": "v1"}]}]}
)
WITH_THINGS = GROUPS.replace(b"batch", b"example.org")
PLAIN = Unrecognized("404 page not found", status=404)
OWN = NotServed("the server could not find the requested resource", status=404)
EMPTY = b'{"kind":"APIResourceList","resources":[]}'


class Server:
    """Answers `get_path` and `list_page` with the given values, and counts the calls."""

    def __init__(self, *answers: bytes | KubeError) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.now = 1000.0
        self.connection_lost_at = float("-inf")

    def list_page(self, gvr: GVR, namespace: None, type: type[T], *, field_selector: str) -> Page[T]:  # noqa: A002
        return Page([self.get_path(f"{gvr.resource} {field_selector}", type)], "1", "")

    def get_path(self, path: str, type: type[T], *, max_body: int = 0) -> T:  # noqa: A002
        self.asked.append(path)
        answer = self.answers.pop(0)
        if isinstance(answer, KubeError):
            raise answer
        return cast("T", answer) if type is bytes else msgspec.json.decode(answer, type=type)

    def discovery(self) -> Discovery:
        return Discovery(cast("Client", self), clock=lambda: self.now)


def test_a_group_version_is_asked_for_once() -> None:
    server = Server(LISTED)
    discovery = server.discovery()
    assert discovery.resolve(JOBS) == Resource("jobs", "Job", True, ("create", "list"), has_status=True)
    assert discovery.resolve(JOBS).kind == "Job"
    assert server.asked == ["/apis/batch/v1"]


def test_a_resource_without_the_status_subresource_says_so() -> None:
    plain = msgspec.json.decode(LISTED)
    plain["resources"] = [one for one in plain["resources"] if "/" not in one["name"]]
    assert not Server(msgspec.json.encode(plain)).discovery().resolve(JOBS).has_status


ABSENT: dict[str, tuple[GVR, tuple[bytes | KubeError, ...]]] = {
    "resource missing": (GVR("batch", "v1", "cronjobs"), (LISTED,)),
    "a subresource is no resource": (GVR("batch", "v1", "jobs/status"), (LISTED,)),
    "group missing": (THINGS, (PLAIN, GROUPS)),
    "group missing, in the API server's own words": (THINGS, (OWN, GROUPS)),
    "version missing": (GVR("batch", "v9", "jobs"), (OWN, GROUPS)),
    "nothing listed": (GVR("", "v1", "things"), (b'{"kind": "APIResourceList", "resources": null}',)),
}


@pytest.mark.parametrize(("gvr", "answers"), ABSENT.values(), ids=ABSENT.keys())
def test_what_is_not_served_is_asked_for_again_only_after_a_moment(
    gvr: GVR, answers: tuple[bytes | KubeError, ...]
) -> None:
    server = Server(*answers, *answers)
    discovery = server.discovery()
    for server.now in (1000.0, 1001.9, 1002.0):
        with pytest.raises(NotServed, match="does not serve"):
            discovery.resolve(gvr)
    assert len(server.asked) == 2 * len(answers)


UNCLEAR: dict[str, tuple[GVR, tuple[bytes | KubeError, ...]]] = {
    "an aggregated API that is down": (THINGS, (Transient("service unavailable", status=503),)),
    "a proxy that knows no page": (THINGS, (PLAIN, PLAIN)),
    "a proxy that knows no page, in the API server's words": (THINGS, (OWN, OWN)),
    "a page that is no list of groups": (THINGS, (PLAIN, b'{"ok": true}')),
    "a page that is no list of resources": (THINGS, (b'{"ok": true}',)),
    "a version that is listed and not found": (THINGS, (OWN, WITH_THINGS)),
    "a 404 to everything, in the words of an API server": (THINGS, (OWN, OWN)),
    "the core group is always served": (GVR("", "v1", "pods"), (OWN,)),
}


@pytest.mark.parametrize(("gvr", "answers"), UNCLEAR.values(), ids=UNCLEAR.keys())
def test_what_the_server_cannot_say_now_is_not_the_same_as_not_served(
    gvr: GVR, answers: tuple[bytes | KubeError, ...]
) -> None:
    server = Server(*answers, msgspec.json.encode({"kind": "APIResourceList", "resources": [{"name": gvr.resource}]}))
    discovery = server.discovery()
    for _ in range(2):
        with pytest.raises(Transient):
            discovery.resolve(gvr)
    assert len(server.asked) == len(answers)
    assert discovery.resolve(gvr, absent_for=0).name == gvr.resource


def test_many_absent_groups_share_one_list_of_groups() -> None:
    server = Server(PLAIN, GROUPS, PLAIN)
    discovery = server.discovery()
    for group in ("one.example.org", "two.example.org"):
        with pytest.raises(NotServed):
            discovery.resolve(GVR(group, "v1", "things"))
    assert server.asked == ["/apis/one.example.org/v1", "/apis", "/apis/two.example.org/v1"]


def test_a_kind_that_appears_is_found() -> None:
    server = Server(PLAIN, GROUPS, EMPTY.replace(b"[]", b'[{"name":"things","kind":"Thing"}]'))
    discovery = server.discovery()
    with pytest.raises(NotServed):
        discovery.resolve(THINGS)
    server.now += 5
    assert discovery.resolve(THINGS).kind == "Thing"


def test_refresh_forgets() -> None:
    server = Server(LISTED, LISTED.replace(b'"jobs"', b'"others"'))
    discovery = server.discovery()
    discovery.resolve(JOBS)
    discovery.refresh(JOBS)
    with pytest.raises(NotServed):
        discovery.resolve(JOBS)


def crd(**version: object) -> bytes:
    return msgspec.json.encode({"metadata": {"name": "things.example.org"}, "spec": {"versions": [version]}})


NO_CRD = crd(name="v0", served=True)
SERVING = crd(name="v1", served=True)
GONE: dict[str, tuple[GVR, tuple[bytes | KubeError, ...], bool]] = {
    "its group is not listed, and no CRD serves it": (THINGS, (PLAIN, GROUPS, NO_CRD), True),
    "its resource is not listed, and no CRD serves it": (THINGS, (EMPTY, NO_CRD), True),
    "it is not listed, and CRDs may not be listed": (THINGS, (EMPTY, Forbidden("no", status=403)), True),
    "its CRD does not serve the version any more": (THINGS, (EMPTY, crd(name="v1", served=False)), True),
    "it is listed": (THINGS, (EMPTY.replace(b"[]", b'[{"name":"things"}]'),), False),
    "it is not listed, but its CRD is there": (THINGS, (EMPTY, SERVING), False),
    "its group is not found, but its CRD is there": (THINGS, (PLAIN, GROUPS, SERVING), False),
    "it is built in, whatever the server says": (JOBS, (), False),
}


@pytest.mark.parametrize(("gvr", "answers", "expected"), GONE.values(), ids=GONE.keys())
def test_a_kind_is_gone_if(gvr: GVR, answers: tuple[bytes | KubeError, ...], expected: bool) -> None:
    server = Server(*answers)
    assert server.discovery().is_gone(gvr) is expected
    assert not server.answers


def test_whether_a_kind_is_gone_is_asked_anew_each_time() -> None:
    server = Server(PLAIN, GROUPS, NO_CRD, PLAIN, WITH_THINGS)
    discovery = server.discovery()
    assert discovery.is_gone(THINGS)
    with pytest.raises(Transient, match="lists the group"):
        discovery.is_gone(THINGS)


def test_a_proxy_that_answers_404_to_everything_proves_nothing() -> None:
    server = Server(PLAIN, PLAIN)
    with pytest.raises(Unrecognized):
        server.discovery().is_gone(THINGS)


def test_no_kind_is_gone_shortly_after_a_connection_was_lost() -> None:
    server = Server(PLAIN, GROUPS, NO_CRD)
    discovery = server.discovery()
    server.connection_lost_at = server.now - QUIET_SECONDS + 1
    assert not discovery.is_gone(THINGS)
    assert server.asked == []
    server.now += 1
    assert discovery.is_gone(THINGS)


@pytest.mark.parametrize(
    ("group", "expected"),
    [("", True), ("batch", True), ("coordination.k8s.io", True), ("jobset.x-k8s.io", False), ("ray.io", False)],
    ids=["core", "batch", "leases", "JobSet", "Ray"],
)
def test_built_in(group: str, expected: bool) -> None:
    assert is_built_in(GVR(group, "v1", "things")) is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(b'{"openapi":"3.0.0"}', b'{"openapi":"3.0.0"}', id="a document"),
        pytest.param(PLAIN, None, id="no page"),
        pytest.param(OWN, None, id="no page, in the words of the API server"),
    ],
)
def test_the_openapi_document_of_a_group(answer: bytes | KubeError, expected: bytes | None) -> None:
    server = Server(answer)
    assert server.discovery().openapi(THINGS) == expected
    assert server.asked == ["/openapi/v3/apis/example.org/v1"]


def test_a_document_that_the_server_refuses_is_an_error() -> None:
    with pytest.raises(Forbidden):
        Server(Forbidden("no", status=403)).discovery().openapi(THINGS)
