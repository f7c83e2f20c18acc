"""Which lines of the list a viewer gets."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.dashboard.model.lines import ListLine, Query, select

LINES = (
    ListLine("team-a", "train", "Running", created=3.0, started=3.0),
    ListLine("team-a", "clean", "Succeeded", created=1.0, started=1.0, ended=9.0),
    ListLine("team-b", "train", "Failed", created=2.0, started=2.0, ended=3.0, why="Failed: job train, exit code 3"),
    ListLine("team-b", "load", "Running", created=4.0, started=5.0, blocked=True, why="NotAllowed: may not make pods"),
)

CASES: dict[str, tuple[dict[str, Any], Any, list[str]]] = {
    "the newest first": ({}, None, ["team-b/load", "team-a/train", "team-b/train", "team-a/clean"]),
    "only namespaces that the viewer may see": ({}, {"team-a"}, ["team-a/train", "team-a/clean"]),
    "nothing for one who may see nothing": ({}, (), []),
    "a namespace": ({"namespace": "team-b"}, None, ["team-b/load", "team-b/train"]),
    "a namespace that the viewer may not see": ({"namespace": "team-b"}, {"team-a"}, []),
    "all words have to occur": ({"text": "team-b train"}, None, ["team-b/train"]),
    "words of why it failed, in whatever case": ({"text": "EXIT code"}, None, ["team-b/train"]),
    "phases": ({"phases": frozenset({"Failed", "Succeeded"})}, None, ["team-b/train", "team-a/clean"]),
    "what waits for a person": ({"blocked": True}, None, ["team-b/load"]),
    "by name": ({"sort": "name"}, None, ["team-a/clean", "team-b/load", "team-a/train", "team-b/train"]),
    "the longest last": ({"sort": "duration"}, None, ["team-b/train", "team-a/clean", "team-b/load", "team-a/train"]),
    "a page": ({"offset": 1, "limit": 2}, None, ["team-a/train", "team-b/train"]),
    "behind the end": ({"offset": 9}, None, []),
}


@pytest.mark.parametrize(("query", "visible", "expected"), CASES.values(), ids=CASES.keys())
def test_select(query: dict[str, Any], visible: Any, expected: list[str]) -> None:
    found = select(LINES, Query(**query), visible)
    assert [f"{one.namespace}/{one.name}" for one in found.lines] == expected


def test_the_numbers_beside_the_filters() -> None:
    found = select(LINES, Query(text="train", phases=frozenset({"Failed"})), None)
    assert (found.total, found.matched, found.phases, found.blocked) == (4, 1, {"Running": 1, "Failed": 1}, 0)
    assert found.namespaces == ("team-a", "team-b")


def test_a_viewer_learns_no_name_of_a_namespace_that_it_may_not_see() -> None:
    assert select(LINES, Query(), {"team-a"}).namespaces == ("team-a",)
