"""Defaults are written out as a minimal JSON Patch, once."""

from __future__ import annotations

from typing import Any

import jsonpatch
import msgspec
import pytest

from pkg.webhooks.admit.defaults import default_steps


@pytest.mark.parametrize(
    ("kind", "spec", "filled"),
    [
        pytest.param(
            "Workflow",
            {"flows": []},
            {"flows": [], "successPolicy": {"type": "All"}, "jobRetainPolicy": "retain"},
            id="all of them",
        ),
        pytest.param(
            "Workflow",
            {"successPolicy": {"remaining": "Drain"}, "jobRetainPolicy": "delete"},
            {"successPolicy": {"remaining": "Drain", "type": "All"}, "jobRetainPolicy": "delete"},
            id="a part that is there",
        ),
        pytest.param(
            "Workflow",
            {"successPolicy": {"type": "Any"}, "jobRetainPolicy": "delete"},
            {"successPolicy": {"type": "Any"}, "jobRetainPolicy": "delete"},
            id="none",
        ),
        pytest.param(
            "Workflow",
            {"successPolicy": [], "jobRetainPolicy": None},
            {"successPolicy": [], "jobRetainPolicy": None},
            id="what the schema refuses stays as it is",
        ),
        pytest.param(
            "WorkTemplate", {"gvr": {}}, {"gvr": {}, "fieldValidation": "Warn", "action": "Create"}, id="of a template"
        ),
    ],
)
def test_defaults(kind: str, spec: dict[str, Any], filled: dict[str, Any]) -> None:
    sent = {"spec": spec}
    steps = default_steps(kind, msgspec.json.encode(sent))
    written = jsonpatch.apply_patch(sent, list(steps))
    assert written == {"spec": filled}
    assert default_steps(kind, msgspec.json.encode(written)) == (), "a second time nothing is left to write"


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"spec": []}', b'{"spec": {"successPolicy": ' + b"[" * 9999])
def test_what_cannot_be_read_gets_no_patch(text: bytes) -> None:
    assert default_steps("Workflow", text) == ()
