"""Which kinds are served, and how often the server is asked."""

from __future__ import annotations

from typing import TypeVar, cast

import msgspec
import pytest

from pkg.apis.meta import GVR
from pkg.kube.client import Client
from pkg.kube.discovery import Discovery, Resource
from pkg.kube.errors import KubeError, NotFound, NotServed, Transient

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


class Server:
    """Answers `get_path` with the given values, and counts the calls."""

    def __init__(self, *answers: bytes | KubeError) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.now = 0.0

    def get_path(self, path: str, type: type[T]) -> T:  # noqa: A002
        self.asked.append(path)
        answer = self.answers.pop(0)
        if isinstance(answer, KubeError):
            raise answer
        return msgspec.json.decode(answer, type=type)

    def discovery(self) -> Discovery:
        return Discovery(cast("Client", self), clock=lambda: self.now)


def test_a_group_version_is_asked_for_once() -> None:
    server = Server(LISTED)
    discovery = server.discovery()
    assert discovery.resolve(JOBS) == Resource("jobs", "Job", True, ("create", "list"))
    assert discovery.resolve(JOBS).kind == "Job"
    assert server.asked == ["/apis/batch/v1"]


@pytest.mark.parametrize(
    ("gvr", "answer"),
    [
        (GVR("batch", "v1", "cronjobs"), LISTED),
        (GVR("batch", "v1", "jobs/status"), LISTED),
        (GVR("nobody.io", "v1", "jobs"), NotFound("no", status=404)),
        (GVR("", "v1", "things"), b'{"resources": null}'),
    ],
    ids=["resource missing", "a subresource is no resource", "group missing", "nothing listed"],
)
def test_what_is_not_served_is_asked_for_again_only_after_a_moment(gvr: GVR, answer: bytes | KubeError) -> None:
    server = Server(answer, answer)
    discovery = server.discovery()
    for server.now in (0.0, 1.9, 2.0):
        with pytest.raises(NotServed, match="does not serve"):
            discovery.resolve(gvr)
    assert len(server.asked) == 2


def test_a_kind_that_appears_is_found() -> None:
    server = Server(NotFound("no", status=404), LISTED)
    discovery = server.discovery()
    with pytest.raises(NotServed):
        discovery.resolve(JOBS)
    server.now = 5
    assert discovery.resolve(JOBS).kind == "Job"


def test_an_aggregated_api_that_is_away_is_not_the_same_as_not_served() -> None:
    server = Server(Transient("service unavailable", status=503), LISTED)
    discovery = server.discovery()
    for _ in range(2):
        with pytest.raises(Transient) as caught:
            discovery.resolve(JOBS)
        assert caught.value.status == 503
    assert len(server.asked) == 1
    assert discovery.resolve(JOBS, absent_for=0).kind == "Job"


def test_refresh_forgets() -> None:
    server = Server(LISTED, NotFound("gone", status=404))
    discovery = server.discovery()
    discovery.resolve(JOBS)
    discovery.refresh(JOBS)
    with pytest.raises(NotServed):
        discovery.resolve(JOBS)
