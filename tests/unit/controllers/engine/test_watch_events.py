"""What each line of a watch and each item of a list is read as."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.meta import PartialObject
from pkg.controllers.engine.deltas import Added, Deleted, Modified
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


DEEP_METADATA = b'{"metadata":{"managedFields":%b,"name":"a","namespace":"ns","resourceVersion":"7"},"spec":{}}' % (
    b'{"a":' * 5000 + b"1" + b"}" * 5000
)


class Whole(Thing, frozen=True):
    spec: dict[str, Any] = msgspec.field(default_factory=dict)


@pytest.mark.parametrize("event", ["ADDED", "MODIFIED", "DELETED"])
@pytest.mark.parametrize("type_", [Whole, Thing, PartialObject])
@pytest.mark.parametrize("raw", [DEEP, DEEP_METADATA], ids=["deep spec", "deep metadata"])
def test_an_object_that_is_nested_too_deeply_is_read_as_far_as_possible(event: str, type_: type, raw: bytes) -> None:
    seen: list[str] = []
    decoder: ObjectDecoder[Any] = ObjectDecoder(type_, seen.append)
    read = decoder.line(b'{"type":"%b","object":%b}' % (event.encode(), raw))
    assert type(read).__name__ == event.capitalize()
    assert isinstance(read, Added | Modified | Deleted)
    assert read.obj.metadata.key == "ns/a"
    assert decoder.item(raw) == read.obj
    assert seen == ["ns/a", "ns/a"]


def test_the_levels_that_are_read_are_more_than_a_user_may_nest() -> None:
    read = ObjectDecoder(Whole).item(DEEP)
    assert isinstance(read, Whole)
    assert 300 < levels(read.spec) < 500


@pytest.mark.parametrize("kind", ["BOOKMARK", "ERROR"])
def test_an_event_of_the_server_that_is_nested_too_deeply_ends_nothing(kind: str) -> None:
    read = ObjectDecoder(Thing).line(b'{"type":"%b","object":%b}' % (kind.encode(), DEEP))
    assert isinstance(read, Bookmark | Failure)


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
