"""What each line of a watch and each item of a list is read as."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest

from pkg.controllers.engine.store import Added, Deleted, Modified
from pkg.controllers.engine.watch_events import Bookmark, Failure, ObjectDecoder, Unreadable
from pkg.kube.errors import Gone, KubeError
from tests.unit.controllers.engine.objects import Thing, thing
from tests.unit.controllers.engine.scripted import bookmark, error_line, line

A = thing("a", 3, state="ok")
BAD = b'{"metadata":{"name":"a","namespace":"ns","resourceVersion":"7"},"status":{"state":5}}'


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        pytest.param(line("ADDED", A), Added(A), id="added"),
        pytest.param(line("MODIFIED", A), Modified(A), id="modified"),
        pytest.param(line("DELETED", A), Deleted(A), id="deleted"),
        pytest.param(bookmark(12), Bookmark("12"), id="bookmark"),
        pytest.param(
            b' { "object" : ' + line("", A)[20:-1] + b' , "type" : "ADDED" }', Added(A), id="spelled otherwise"
        ),
    ],
)
def test_lines(raw: bytes, read: object) -> None:
    assert ObjectDecoder(Thing).line(raw) == read


@pytest.mark.parametrize(
    ("raw", "key", "version", "said"),
    [
        pytest.param(b'{"type":"ADDED","object":' + BAD + b"}", "ns/a", "7", "status", id="a field of the wrong type"),
        pytest.param(b'{"type":"MODIFIED","object":[]}', "", "", "array", id="no object at all"),
        pytest.param(b'{"type":"ADDED","obj', "", "", "not a watch event", id="half a line"),
        pytest.param(b"<html>", "", "", "not a watch event", id="no JSON"),
        pytest.param(b'{"type":"PAUSED","object":{}}', "", "", "PAUSED", id="a type that is not known"),
        pytest.param(
            b'{"type":"BOOKMARK","object":{"metadata":{}}}', "", "", "resourceVersion", id="an empty bookmark"
        ),
    ],
)
def test_lines_that_cannot_be_read(raw: bytes, key: str, version: str, said: str) -> None:
    read = ObjectDecoder(Thing).line(raw)
    assert isinstance(read, Unreadable)
    assert (read.key, read.resource_version) == (key, version)
    assert said in read.error


DEEP = b'{"metadata":{"name":"a","namespace":"ns","resourceVersion":"7"},"spec":' + b'{"a":' * 5000 + b"1" + b"}" * 5001


def test_what_is_nested_too_deeply_is_reported_by_its_name() -> None:
    decoder = ObjectDecoder(Thing)
    for read in (decoder.item(DEEP), decoder.line(b'{"type":"MODIFIED","object":' + DEEP + b"}")):
        assert isinstance(read, Unreadable)
        assert (read.key, read.resource_version) == ("ns/a", "7")
        assert "recursion" in read.error


class Owned(Thing, frozen=True):
    is_read_in_part: ClassVar[bool] = True
    spec: dict[str, Any] = msgspec.field(default_factory=dict)


@pytest.mark.parametrize("event", ["ADDED", "MODIFIED", "DELETED"])
def test_an_object_of_our_own_that_is_nested_too_deeply_is_read_as_far_as_possible(event: str) -> None:
    seen: list[str] = []
    decoder = ObjectDecoder(Owned, seen.append)
    read = decoder.line(b'{"type":"%b","object":%b}' % (event.encode(), DEEP))
    assert isinstance(read, Added | Modified | Deleted)
    assert read.obj.metadata.key == "ns/a"
    assert 300 < levels(read.obj.spec) < 500
    assert decoder.item(DEEP) == read.obj
    assert seen == ["ns/a", "ns/a"]


def levels(tree: Any) -> int:
    found = 0
    while isinstance(tree, dict) and tree:
        tree, found = tree["a"], found + 1
    return found


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        pytest.param(error_line(410, "Expired", "too old resource version"), Gone, id="too old"),
        pytest.param(error_line(500, "InternalError"), KubeError, id="internal"),
        pytest.param(b'{"type":"ERROR","object":5}', KubeError, id="unreadable"),
    ],
)
def test_failures(raw: bytes, kind: type[KubeError]) -> None:
    read = ObjectDecoder(Thing).line(raw)
    assert isinstance(read, Failure)
    assert isinstance(read.error, kind)


def test_items() -> None:
    decoder = ObjectDecoder(Thing)
    assert decoder.item(b'{"metadata":{"name":"a","namespace":"ns","uid":"uid-a","resourceVersion":"3"}}') == thing(
        "a", 3
    )
    bad = decoder.item(BAD)
    assert isinstance(bad, Unreadable)
    assert bad.key == "ns/a"
    opaque = decoder.item(b'{"metadata":{"name":"a","resourceVersion":"x1"}}')
    assert isinstance(opaque, Unreadable)
    assert "x1" in opaque.error
