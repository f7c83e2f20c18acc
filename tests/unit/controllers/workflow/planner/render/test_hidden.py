"""No message quotes an output: messages are logged."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.conversion import Json
from pkg.controllers.workflow.planner.render.hidden import outputs_in, without_values


@pytest.mark.parametrize(
    ("message", "values", "shown"),
    [
        pytest.param('Invalid value: "hush": no', ["hush"], 'Invalid value: "(an output)": no', id="a word"),
        pytest.param('no "a\\"bcd" here', ['a"bcd'], 'no "(an output)" here', id="a text with quotation marks"),
        pytest.param(f'"{"y" * 60}..." is', ["y" * 900], '"(an output)..." is', id="the beginning of a long one"),
        pytest.param('containers[3]: "3"', ["3"], 'containers[3]: "(an output)"', id="a short one, where it is quoted"),
        pytest.param("[3] Invalid value: 3, x", ["3"], "[3] Invalid value: (an output), x", id="a number"),
        pytest.param("{Value:37}", ["37"], "{Value:(an output)}", id="a number as Go prints it"),
        pytest.param('{"a": "3"}', [Json("3")], '{"a": "(an output)"}', id="a value that was no text"),
        pytest.param("nothing", ["", "a"], "nothing", id="an empty one and a letter"),
        pytest.param("abcd of abcdef", ["abcd", "abcdef"], "(an output) of (an output)", id="the longer one first"),
    ],
)
def test_a_value_is_taken_out(message: str, values: list[str], shown: str) -> None:
    assert without_values(message, values) == shown


def test_addresses_and_how_it_went_are_no_outputs() -> None:
    known = {"flows.a.podIP": "10.0.0.1", "workflow.phase": "Failed", "flows.a.outputs.x": "hush"}
    assert outputs_in(known) == ("hush",)


def test_an_item_that_a_run_found_is_one_with_its_parts() -> None:
    item = {"name": "hush", "of": ["more"]}
    assert outputs_in({}, item) == ()
    assert {"hush", "more"} <= set(outputs_in({}, item, is_found=True))
