"""Schemas come in the background: what is known before, when the server has none, and after a change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import cast

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Type
from pkg.apis.meta import GVR
from pkg.kinds.schemas import Known, Schemas, SchemaTiming
from pkg.kube.discovery import Discovery
from pkg.kube.errors import Forbidden, KubeError, Transient
from tests.waiting import until

BOXES = GVR("example.com", "v1", "boxes")
TRAYS = GVR("example.com", "v1", "trays")
HOUR = 3600.0


def document(size: str, kind: str = "Box") -> bytes:
    """An OpenAPI document in which `spec.size` has this type."""
    named = {"group": "example.com", "version": "v1", "kind": kind}
    spec = {"type": "object", "properties": {"size": {"type": size}}}
    schema = {"type": "object", "properties": {"spec": spec}, "x-kubernetes-group-version-kind": [named]}
    return msgspec.json.encode({"openapi": "3.0.0", "components": {"schemas": {"it": schema}}})


class Server:
    """Answers for each kind with `answers`, or with None; it is silent about a kind in `silent` until it is set."""

    def __init__(self) -> None:
        self.answers: dict[GVR, bytes | KubeError] = {}
        self.silent: dict[GVR, threading.Event] = {}
        self.asked: list[GVR] = []

    def openapi(self, gvr: GVR) -> bytes | None:
        self.asked.append(gvr)
        if gvr in self.silent:
            self.silent[gvr].wait(10)
        answer = self.answers.get(gvr)
        if isinstance(answer, KubeError):
            raise answer
        return answer


class Setup:
    def __init__(self) -> None:
        self.server = Server()
        self.changed: list[GVR] = []
        self.made: list[Schemas] = []

    def schemas(self, **timing: object) -> Schemas:
        times = msgspec.convert({"retry": 0.01, "patience": HOUR, "after_change": [0.0, 0.05], **timing}, SchemaTiming)
        found = Schemas(cast(Discovery, self.server), self.changed.append, times)
        found.start()
        self.made.append(found)
        return found


@pytest.fixture
def setup() -> Iterator[Setup]:
    made = Setup()
    yield made
    for silent in made.server.silent.values():
        silent.set()
    for schemas in made.made:
        schemas.stop()


def is_type(schemas: Schemas, wanted: Type) -> Callable[[], bool]:
    def fact() -> bool:
        schema = schemas.get(BOXES, "Box").schema
        return schema is not None and schema.type_at(["spec", "size"]) is wanted

    return fact


def test_a_schema_is_unknown_until_it_was_read(setup: Setup) -> None:
    setup.server.silent[BOXES] = threading.Event()
    setup.server.answers[BOXES] = document("integer")
    schemas = setup.schemas()
    assert schemas.get(BOXES, "Box") == Known(None, None)
    until(lambda: BOXES in setup.server.asked)
    assert schemas.get(BOXES, "Box") == Known(None, None), "it does not wait"
    setup.server.silent[BOXES].set()
    until(is_type(schemas, Type.INTEGER))
    until(lambda: setup.changed == [BOXES])
    assert schemas.get(BOXES, "Box").has_spec is True


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="no document"),
        pytest.param(document("integer", "Other"), id="a document without the kind"),
        pytest.param(b"<html>", id="a page of somebody else"),
        pytest.param(Forbidden("no", status=403), id="403"),
        pytest.param(Transient("broken", status=500), id="500"),
    ],
)
def test_a_kind_without_a_schema_is_used_after_some_seconds(setup: Setup, answer: bytes | KubeError | None) -> None:
    if answer is not None:
        setup.server.answers[BOXES] = answer
    schemas = setup.schemas(patience=0.05, slow_retry=0.02)
    schemas.get(BOXES, "Box")
    until(lambda: schemas.get(BOXES, "Box") == Known(NO_SCHEMA, None))
    until(lambda: setup.changed == [BOXES])
    setup.server.answers[BOXES] = document("string")
    until(is_type(schemas, Type.STRING))


def test_a_silent_server_holds_up_neither_the_kind_nor_another_one(setup: Setup) -> None:
    setup.server.silent[BOXES] = threading.Event()
    setup.server.answers[TRAYS] = document("string", "Tray")
    schemas = setup.schemas(patience=0.05)
    schemas.get(BOXES, "Box")
    schemas.get(TRAYS, "Tray")
    until(lambda: schemas.get(TRAYS, "Tray").has_spec is True)
    until(lambda: schemas.get(BOXES, "Box").schema == NO_SCHEMA)


def test_a_schema_is_read_anew_and_more_than_once_after_a_change(setup: Setup) -> None:
    setup.server.answers[BOXES] = document("string")
    schemas = setup.schemas()
    until(is_type(schemas, Type.STRING))
    schemas.refresh(BOXES)
    until(lambda: len(setup.server.asked) >= 2)
    setup.server.answers[BOXES] = document("integer")  # the server publishes it a little later
    until(is_type(schemas, Type.INTEGER))
    until(lambda: setup.changed == [BOXES, BOXES])


def test_a_change_that_leaves_the_schema_alone_tells_nobody(setup: Setup) -> None:
    setup.server.answers[BOXES] = document("string")
    schemas = setup.schemas()
    until(is_type(schemas, Type.STRING))
    schemas.refresh(BOXES)
    until(lambda: len(setup.server.asked) >= 3)
    assert setup.changed == [BOXES]


def test_a_known_schema_outlives_a_server_that_fails(setup: Setup) -> None:
    setup.server.answers[BOXES] = document("string")
    schemas = setup.schemas()
    until(is_type(schemas, Type.STRING))
    setup.server.answers[BOXES] = Transient("broken", status=500)
    schemas.refresh(BOXES)
    until(lambda: len(setup.server.asked) >= 4)
    assert is_type(schemas, Type.STRING)()


def test_schemas_have_room_for_so_many_entries_together(setup: Setup) -> None:
    setup.server.answers |= {BOXES: document("string"), TRAYS: document("string", "Tray")}
    schemas = setup.schemas(max_entries=6)
    until(is_type(schemas, Type.STRING))
    until(lambda: schemas.get(TRAYS, "Tray") == Known(NO_SCHEMA, True))
    schemas.forget(BOXES)
    schemas.refresh(TRAYS)
