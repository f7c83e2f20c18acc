"""Raw fields keep their text and let go of the message that they came in."""

from __future__ import annotations

import sys

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import raw
from pkg.apis.flow.v1alpha1.gathering import gather
from pkg.apis.flow.v1alpha1.types import Flow, WorkflowSpec, WorkflowTemplate, WorkTemplateSpec

FLOWS = b"""{"flows": [
    {"name": "a", "patch": {"x": 1}, "outputs": [ ]},
    {"name": "b", "dependsOn": {"targets": ["a"]}, "parameters": null},
    {"name": "c", "for": {"items": [1, {"y": "z"}, "t"], "dependsOn": "Same"}}
], "parameters": [{"name": "p"}], "plugins": {}}"""


TEMPLATE = b'{"gvr": {"version": "v1", "resource": "jobs"}, "metadata": {}, "jobSpec": {"a": 1}}'


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def is_held(message: bytes, type_: type[msgspec.Struct]) -> bool:
    """Whether what is decoded from a message keeps the message in memory."""
    before = sys.getrefcount(message)
    decoded = msgspec.json.decode(message, type=type_)
    held = sys.getrefcount(message) > before
    del decoded
    return held


def test_every_raw_field_of_a_spec_keeps_its_text() -> None:
    spec = msgspec.json.decode(FLOWS, type=WorkflowSpec)
    first, second, third = spec.flows
    assert (bytes(spec.raw_parameters), bytes(spec.raw_plugins)) == (b'[{"name": "p"}]', b"{}")
    assert (bytes(first.raw_patch), bytes(first.raw_outputs)) == (b'{"x": 1}', b"[ ]")
    assert (bytes(second.raw_depends_on), bytes(second.raw_parameters)) == (b'{"targets": ["a"]}', b"null")
    assert third.for_ is not None
    assert third.for_.items is not None
    assert [bytes(item) for item in third.for_.items] == [b"1", b'{"y": "z"}', b'"t"']
    assert bytes(third.for_.raw_depends_on) == b'"Same"'


def test_a_field_that_is_absent_stays_so() -> None:
    spec = msgspec.json.decode(FLOWS, type=WorkflowSpec)
    absent = [spec.flows[0].raw_depends_on, spec.flows[1].raw_patch, spec.flows[2].raw_outputs]
    assert [field is raw.ABSENT for field in absent] == [True] * 3


@pytest.mark.parametrize(
    ("message", "type_"),
    [
        pytest.param(FLOWS, WorkflowSpec, id="a spec with many"),
        pytest.param(b'{"flows": [{"name": "a", "patch": {}}]}', WorkflowSpec, id="a spec with one"),
        pytest.param(b'{"flows": [{"name": "a"}]}', WorkflowSpec, id="a spec with none"),
        pytest.param(b'{"flows": [{"name": "a", "for": {"items": [1]}}]}', WorkflowSpec, id="one item"),
        pytest.param(b'{"flows": [{"name": "a", "patch": %b, "outputs": []}]}' % deep(400), WorkflowSpec, id="deep"),
        pytest.param(TEMPLATE, WorkTemplateSpec, id="a template"),
        pytest.param(b'{"spec": {"flows": []}}', WorkflowTemplate, id="a workflow in a CronWorkflow"),
    ],
)
def test_a_raw_field_does_not_keep_the_message_in_memory(message: bytes, type_: type[msgspec.Struct]) -> None:
    assert not is_held(bytes(bytearray(message)), type_)


def test_fields_that_are_nested_too_deep_keep_their_text() -> None:
    flow = Flow(name="a", raw_patch=msgspec.Raw(deep(5_000)), raw_outputs=msgspec.Raw(b"[]"))
    gather(flow, "raw_depends_on", "raw_patch", "raw_outputs")
    assert (bytes(flow.raw_patch), bytes(flow.raw_outputs)) == (deep(5_000), b"[]")
    assert flow.raw_depends_on is raw.ABSENT
