"""How many may hold a semaphore, and what is said where nobody can tell."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.locks import LockKind, LockName
from pkg.controllers.workflow.planner.locks.limit import limit_of

LOCK = LockName(LockKind.SEMAPHORE, "gpus/licences")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        pytest.param("3", 3, id="a number"),
        pytest.param("0", 0, id="nobody may hold it"),
        pytest.param(" 12\n", 12, id="with blanks, as a block of YAML has them"),
    ],
)
def test_a_limit(text: str, places: int) -> None:
    found = limit_of(LOCK, {"licences": text})
    assert (found.places, found.fault) == (places, "")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("three-hunter2", id="a word"),
        pytest.param("-17", id="less than nothing"),
        pytest.param("1.75", id="a fraction"),
        pytest.param("0x1742", id="another notation"),
        pytest.param("12345678901", id="more digits than anybody means"),
        pytest.param("\u0663\u0664", id="digits of another script"),
    ],
)
def test_what_is_no_limit_is_not_quoted(text: str) -> None:
    found = limit_of(LOCK, {"licences": text, "other": "5"})
    assert found.fault == "key licences of ConfigMap gpus is no whole number from 0; correct it"
    assert found.places == 0


def test_a_missing_key_is_named() -> None:
    assert "ConfigMap gpus has no key licences" in limit_of(LOCK, {"other": "5"}).fault


def test_a_missing_config_map_is_named() -> None:
    assert "there is no ConfigMap gpus; create it with the key licences" in limit_of(LOCK, None).fault
