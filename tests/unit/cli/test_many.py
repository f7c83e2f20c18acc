"""Many calls: each item comes back with its own error, and nothing begins after the end."""

from __future__ import annotations

import threading

import pytest

from pkg.cli.many import AT_ONCE, each
from pkg.kube.errors import Forbidden, KubeError


def test_each_item_has_its_own_error() -> None:
    def call(number: int) -> None:
        if number % 2:
            raise Forbidden(f"not {number}")

    found = dict(each(range(20), call, "done"))
    assert {number for number, error in found.items() if isinstance(error, KubeError)} == set(range(1, 20, 2))
    assert found[2] is None
    assert str(found[3]) == "not 3"


def test_another_error_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(each([1, 0], lambda number: 1 // number, "done"))


def test_after_ctrl_c_no_further_call_begins() -> None:
    begun, gate = [], threading.Event()

    def call(number: int) -> None:
        begun.append(number)
        if number:
            gate.wait(60)

    calls = each(range(1_000), call, "done")
    assert next(calls) == (0, None)
    with pytest.raises(KeyboardInterrupt):
        calls.throw(KeyboardInterrupt())  # type: ignore[attr-defined]
    seen = len(begun)
    gate.set()
    assert seen <= AT_ONCE + 1
