"""JSON that stays bytes until it is used."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import raw
from pkg.apis.flow.v1alpha1.types import DependsOn, WorkflowSpec, WorkTemplateSpec

ANY = raw.Decoder[Any](Any, b"null")


def nested(levels: int) -> msgspec.Raw:
    return msgspec.Raw(b'{"a":' * levels + b"1" + b"}" * levels)


@pytest.mark.parametrize(
    "field",
    [
        pytest.param(raw.ABSENT, id="a field that is absent"),
        pytest.param(msgspec.Raw(b"null"), id="a field that is null"),
    ],
)
def test_an_empty_field_reads_as_the_default(field: msgspec.Raw) -> None:
    read = raw.Decoder[dict[str, Any]](dict[str, Any], b"{}")
    one = read(field)
    one["x"] = 1
    assert read(field) == {}, "each value is the caller's own"


@pytest.mark.parametrize("levels", [raw.MAX_DEPTH + 1, 1_000, 5_000, 100_000])
def test_more_levels_than_allowed_are_an_error(levels: int) -> None:
    with pytest.raises(raw.RawError, match="nested too deeply"):
        ANY(nested(levels))


def test_as_many_levels_as_allowed_are_read() -> None:
    assert raw.is_too_deep(ANY(nested(raw.MAX_DEPTH))) is False


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        pytest.param({"a": "\ud800"}, "surrogate", id="half of a surrogate pair"),
        pytest.param({"a": {(1, 2): 1}}, "JSON", id="a key that is no string"),
        pytest.param({"a": object()}, "JSON", id="an object of Python"),
    ],
)
def test_what_json_cannot_hold_is_an_error(tree: Any, message: str) -> None:
    with pytest.raises(raw.RawError, match=message):
        raw.encode(tree)


def test_what_a_field_cannot_hold_is_an_error() -> None:
    spec = msgspec.json.decode(b'{"flows":[{"name":"a","dependsOn":{"targets":"b"}}]}', type=WorkflowSpec)
    with pytest.raises(raw.RawError, match="targets"):
        _ = spec.flows[0].depends_on


def test_raw_fields_are_no_part_of_the_message_that_they_came_in() -> None:
    patch = b'{"spec":{"x":1}}'
    text = b'{"flows":[{"name":"a","patch":%s,"dependsOn":{"targets":["b"]}},{"name":"b"}]}' % patch
    spec = msgspec.json.decode(bytearray(text), type=WorkflowSpec)
    flow = spec.flows[0]
    assert bytes(flow.raw_patch) == patch
    assert flow.depends_on == DependsOn(targets=("b",))
    assert spec.flows[1].raw_patch is raw.ABSENT
    assert msgspec.json.decode(msgspec.json.encode(spec)) == msgspec.json.decode(text)


def test_a_template_keeps_only_text_of_what_it_renders() -> None:
    text = b'{"gvr":{"version":"v1","resource":"pods"},"jobSpec":%s}' % bytes(nested(900))
    spec = msgspec.json.decode(text, type=WorkTemplateSpec)
    with pytest.raises(raw.RawError):
        _ = spec.job_spec
