"""What is read of an OpenAPI document: the types of places, whatever form their schema has."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis import openapi
from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Type
from pkg.apis.openapi import Described, DocumentError, read

REF = "#/components/schemas/"
KIND = {"group": "example.org", "version": "v1", "kind": "Thing"}


def document(spec: Any, **others: Any) -> bytes:
    """A document of the kind Thing with this schema of its spec, and other named parts."""
    thing = {
        "type": "object",
        "properties": {"spec": spec, "metadata": {"$ref": f"{REF}Meta"}, "status": {"type": "object"}},
        "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Thing"}, KIND],
    }
    meta = {"type": "object", "properties": {"finalizers": {"type": "array", "items": {"type": "string"}}}}
    return msgspec.json.encode({"openapi": "3.0.0", "components": {"schemas": {**others, "Meta": meta, "it": thing}}})


def described(spec: Any, **others: Any) -> Described:
    found = read(document(spec, **others), **KIND)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        pytest.param({"type": "string"}, Type.STRING, id="string"),
        pytest.param({"type": "string", "format": "date-time"}, Type.STRING, id="a time"),
        pytest.param({"type": "integer", "format": "int64"}, Type.INTEGER, id="integer"),
        pytest.param({"type": "integer", "format": "int32"}, Type.INTEGER_32, id="integer of 32 bits"),
        pytest.param({"type": "number", "format": "double"}, Type.NUMBER, id="number"),
        pytest.param({"type": "boolean", "nullable": True}, Type.BOOLEAN, id="boolean that may be null"),
        pytest.param({"type": "array"}, Type.ARRAY, id="a list without items"),
        pytest.param({"type": "object"}, Type.OBJECT, id="an object without fields"),
        pytest.param({}, Type.ANY, id="no type"),
        pytest.param({"type": ["string", "null"]}, Type.ANY, id="a list of types"),
        pytest.param({"x-kubernetes-preserve-unknown-fields": True}, Type.ANY, id="preserve-unknown-fields"),
        pytest.param({"x-kubernetes-int-or-string": True}, Type.INT_OR_STRING, id="int-or-string of a CRD"),
        pytest.param({"type": "string", "format": "int-or-string"}, Type.INT_OR_STRING, id="int-or-string, built in"),
        pytest.param({"oneOf": [{"type": "integer"}, {"type": "string"}]}, Type.INT_OR_STRING, id="oneOf"),
        pytest.param({"anyOf": [{"type": "string"}, {"type": "number"}]}, Type.STRING, id="a quantity"),
        pytest.param({"type": "integer", "anyOf": [{"required": ["a"]}]}, Type.INTEGER, id="anyOf of conditions"),
        pytest.param({"allOf": [{"$ref": f"{REF}Part"}], "default": {}}, Type.OBJECT, id="allOf of one part"),
        pytest.param({"$ref": f"{REF}Part", "description": "x"}, Type.OBJECT, id="a part"),
        pytest.param({"$ref": f"{REF}Nope"}, Type.ANY, id="a part that is not there"),
        pytest.param({"$ref": f"{REF}Itself"}, Type.ANY, id="a part that is itself"),
    ],
)
def test_the_type_of_a_schema(schema: dict[str, Any], found: Type) -> None:
    parts = {"Part": {"type": "object"}, "Itself": {"$ref": f"{REF}Itself"}}
    spec = {"type": "object", "properties": {"x": schema}}
    assert described(spec, **parts).schema.type_at(["spec", "x"]) is found


def test_places_inside_lists_maps_and_parts_that_hold_themselves() -> None:
    props = {
        "type": "object",
        "properties": {"size": {"type": "integer"}, "inner": {"$ref": f"{REF}Props"}},
        "additionalProperties": {"type": "array", "items": {"$ref": f"{REF}Props"}},
    }
    schema = described({"$ref": f"{REF}Props"}, Props=props).schema
    for keys in (["size"], ["inner", "inner", "size"], ["any", 0, "inner", "other", 3, "size"]):
        assert schema.type_at(["spec", *keys]) is Type.INTEGER
    assert schema.type_at(["metadata", "finalizers", 0]) is Type.STRING
    assert schema.type_at(["status"]) is Type.ANY, "a job is never created with a status"


def test_equal_parts_are_kept_once() -> None:
    pod = {"type": "object", "properties": {f"field{number}": {"type": "string"} for number in range(500)}}
    one = described({"type": "object", "properties": {"a": pod}})
    many = described({"type": "object", "properties": dict.fromkeys("abcdefghij", pod)})
    assert many.entries < one.entries + 20


@pytest.mark.parametrize(
    ("found", "has_spec"),
    [
        pytest.param({"properties": {"spec": {}}}, True, id="with a spec"),
        pytest.param({"properties": {"data": {}}}, False, id="without"),
        pytest.param({"x-kubernetes-preserve-unknown-fields": True}, True, id="any field"),
    ],
)
def test_whether_objects_have_a_spec(found: dict[str, Any], has_spec: bool) -> None:
    thing = {**found, "x-kubernetes-group-version-kind": [KIND]}
    raw = msgspec.json.encode({"openapi": "3.0.0", "components": {"schemas": {"it": thing}}})
    answer = read(raw, **KIND)
    assert answer is not None
    assert answer.has_spec is has_spec


def test_a_document_without_the_kind_says_nothing() -> None:
    assert read(document({}), group="example.org", version="v2", kind="Thing") is None


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"{}", id="some other JSON"),
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(document({"properties": []}), id="fields that are a list"),
        pytest.param(document(None).replace(b"null", b'{"items":' * 5_000 + b"{}" + b"}" * 5_000), id="too deep"),
    ],
)
def test_what_cannot_be_read_is_an_error(raw: bytes) -> None:
    with pytest.raises(DocumentError):
        read(raw, **KIND)


def test_a_schema_that_is_too_large_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "MAX_ENTRIES", 50)
    wide = {"type": "object", "properties": {f"field{number}": {"type": "integer"} for number in range(60)}}
    found = described({"$ref": f"{REF}Wide"}, Wide=wide)
    assert (found.schema, found.is_too_large, found.has_spec) == (NO_SCHEMA, True, True)


@pytest.mark.parametrize(
    ("schema", "is_closed"),
    [
        pytest.param({"type": "object", "properties": {"a": {}}}, True, id="fields that are listed"),
        pytest.param({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, True, id="no others"),
        pytest.param({"type": "object"}, True, id="no fields listed, in a CRD"),
        pytest.param({"allOf": [{"$ref": f"{REF}Part"}]}, False, id="no fields listed, built in"),
        pytest.param(
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True}, False, id="all are kept unknown"
        ),
        pytest.param({"type": "object", "properties": {"a": {}}, "additionalProperties": True}, False, id="any others"),
        pytest.param({"type": "object", "additionalProperties": {"type": "string"}}, False, id="a map"),
        pytest.param(
            {"type": "object", "properties": {"a": {}}, "x-kubernetes-preserve-unknown-fields": True},
            False,
            id="fields that are kept unknown",
        ),
        pytest.param({"properties": {"a": {}}}, False, id="no type"),
    ],
)
def test_whether_a_field_that_is_not_listed_exists(schema: dict[str, Any], is_closed: bool) -> None:
    found = described(schema, Part={"type": "object"}).schema
    node = found.below(found.root, "spec")
    assert node is not None
    assert node.is_closed is is_closed
    assert found.keeps(("spec", "odd")) is not is_closed
