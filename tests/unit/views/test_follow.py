"""Following Workflows: what is yielded when, across the ends and errors of watches."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec
import pytest

from pkg.kube.client import Client, Page
from pkg.kube.errors import Forbidden, Gone, KubeError, NotFound, Transient, Unrecognized
from pkg.views.follow import Follower, wait_for_end


def thing(name: str, version: int, phase: str = "Running") -> dict[str, Any]:
    meta = {"name": name, "namespace": "team", "uid": name, "resourceVersion": str(version)}
    return {"metadata": meta, "status": {"phase": phase}}


def event(kind: str, found: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": kind, "object": found})


class _Watch:
    def __init__(self, lines: Sequence[bytes | KubeError]) -> None:
        self._lines = lines

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[bytes]:
        for one in self._lines:
            if isinstance(one, KubeError):
                raise one
            yield one


class Script:
    """A client whose answers are written down: lists of objects, and watches of lines; an error is raised."""

    def __init__(self, lists: list[Any], watches: list[Any]) -> None:
        self.lists = lists
        self.watches = watches
        self.versions: list[str] = []
        self.now = thing("a", 1)

    def get(self, _gvr: object, _namespace: str, _name: str, type: type[Any], **_: object) -> object:  # noqa: A002
        return msgspec.convert(self.now, type)

    def list_page(self, *_: object, **__: object) -> Page[msgspec.Raw]:
        found = self.lists.pop(0)
        if isinstance(found, KubeError):
            raise found
        return Page([msgspec.Raw(msgspec.json.encode(one)) for one in found], "5", "")

    def watch(self, *_: object, resource_version: str, **__: object) -> _Watch:
        self.versions.append(resource_version)
        if not self.watches:
            raise Forbidden("the script is over", status=403)
        found = self.watches.pop(0)
        if isinstance(found, KubeError):
            raise found
        return _Watch(found)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.views.follow._PAUSE_SECONDS", 0.0)


def followed(script: Script) -> list[tuple[str, str]]:
    """Name and phase of everything that is yielded; `gone` for a deletion."""
    found: list[tuple[str, str]] = []
    follower = Follower(cast("Client", script), "team", dict[str, Any])
    with pytest.raises(Forbidden):
        found.extend(
            (seen.name, seen.found["status"]["phase"] if seen.found is not None else "gone") for seen in follower
        )
    return found


def test_first_what_there_is_then_each_change() -> None:
    script = Script([[thing("a", 1)]], [[event("MODIFIED", thing("a", 7, "Failed")), event("DELETED", thing("a", 8))]])
    assert followed(script) == [("a", "Running"), ("a", "Failed"), ("a", "gone")]


def test_a_watch_that_ends_goes_on_from_the_last_version() -> None:
    bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    script = Script([[thing("a", 1)]], [[event("MODIFIED", thing("a", 7))], [bookmark], Transient("cut"), []])
    assert followed(script) == [("a", "Running"), ("a", "Running")]
    assert script.versions == ["5", "7", "9", "9", "9"]


def test_an_expired_version_lists_again_and_says_what_went_meanwhile() -> None:
    expired = event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})
    script = Script([[thing("a", 1), thing("b", 1)], [thing("b", 6)]], [[expired], Gone("x", status=410)])
    script.lists.append([thing("b", 6)])
    assert followed(script) == [("a", "Running"), ("b", "Running"), ("b", "Running"), ("a", "gone"), ("b", "Running")]


def test_a_lost_server_is_told_and_tried_again() -> None:
    lost: list[str] = []
    script = Script([Transient("no answer"), [thing("a", 1)]], [])
    follower = Follower(cast("Client", script), None, dict[str, Any], on_lost=lambda error: lost.append(error.message))
    with pytest.raises(Forbidden):
        list(follower)
    assert lost == ["no answer"]


def test_it_is_said_once_that_a_lost_server_answers_again() -> None:
    said: list[str] = []
    script = Script([Transient("a"), Transient("b"), [thing("a", 1)]], [[], Transient("c"), []])
    follower = Follower(
        cast("Client", script),
        None,
        dict[str, Any],
        on_lost=lambda error: said.append(error.message),
        on_back=lambda: said.append("back"),
    )
    with pytest.raises(Forbidden):
        list(follower)
    assert said == ["a", "b", "back", "c", "back"]


def test_the_wait_ends_with_the_workflow() -> None:
    script = Script([[thing("a", 1)]], [[event("MODIFIED", thing("a", 7, "Failed"))]])
    ending = wait_for_end(cast("Client", script), "team", "a")
    assert ending is not None
    assert ending.phase == "Failed"


def test_the_wait_ends_at_its_deadline() -> None:
    assert wait_for_end(cast("Client", Script([[thing("a", 1)]], [])), "team", "a", time.monotonic()) is None


def test_a_workflow_that_has_ended_is_known_though_the_deadline_is_over() -> None:
    script = Script([], [])
    script.now = thing("a", 1, "Failed")
    ending = wait_for_end(cast("Client", script), "team", "a", time.monotonic() - 1)
    assert ending is not None
    assert ending.phase == "Failed"


def test_a_workflow_that_is_deleted_meanwhile_did_not_end() -> None:
    script = Script([[thing("a", 1)]], [[event("DELETED", thing("a", 7))]])
    with pytest.raises(NotFound, match="deleted before it ended"):
        wait_for_end(cast("Client", script), "team", "a")


NOT_FOUND = Unrecognized("404 page not found", status=404)


def test_crds_that_are_not_installed_are_not_waited_for() -> None:
    script = Script([NOT_FOUND], [])
    with pytest.raises(Unrecognized):
        list(Follower(cast("Client", script), "team", dict[str, Any], must_be_served=True))


def test_a_page_of_a_proxy_is_waited_out_once_workflows_were_there() -> None:
    script = Script([[thing("a", 1)]], [NOT_FOUND, [event("MODIFIED", thing("a", 6, "Failed"))]])
    follower = Follower(cast("Client", script), "team", dict[str, Any], must_be_served=True)
    seen: list[str] = []
    with pytest.raises(Forbidden):
        seen.extend(one.found["status"]["phase"] for one in follower if one.found is not None)
    assert script.versions == ["5", "5", "6"]


def test_others_wait_until_the_crds_are_installed() -> None:
    script = Script([NOT_FOUND, [thing("a", 1)]], [])
    assert followed(script) == [("a", "Running")]
