"""Warnings about outputs that are allowed and probably not meant."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.webhooks.admit.outputs import variables_in_defaults
from tests.builders import wf

X: dict[str, Any] = {"name": "x", "from": {"path": "status.x"}}


@pytest.mark.parametrize(
    ("outputs", "places"),
    [
        pytest.param([X], [], id="no default"),
        pytest.param([{**X, "default": "0"}], [], id="a default without variables"),
        pytest.param([{**X, "default": "{{.Values.x}}"}], [], id="braces of somebody else"),
        pytest.param(
            [X, {**X, "name": "y", "default": "{{params.a}}"}],
            ["spec.flows[0].outputs[1].default"],
            id="a variable, which stays as it is",
        ),
    ],
)
def test_a_variable_in_a_default(outputs: list[dict[str, Any]], places: list[str]) -> None:
    assert [one.path for one in variables_in_defaults(wf(a={"outputs": outputs}).spec)] == places
