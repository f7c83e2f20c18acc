"""What an error of a LIST or WATCH means for the reflector."""

from __future__ import annotations

import pytest

from pkg.controllers.engine.relist import is_initializing, relist_reason
from pkg.kube.errors import Forbidden, Gone, KubeError, NotFound, Refused, Throttled, Transient

INITIALIZING = Throttled("storage is (re)initializing", status=429, retry_after=9)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Gone("x", status=410), "gone"),
        (NotFound("x", status=404), "absent"),
        (Refused("x", status=400), "refused"),
        (Transient("Too large resource version: 5, current: 4", status=504), "refused"),
        (Transient("x", status=500), None),
        (Throttled("x", status=429), None),
        (Forbidden("x", status=403), None),
    ],
    ids=str,
)
def test_which_errors_cost_a_list(error: KubeError, reason: str | None) -> None:
    assert relist_reason(error) == reason


def test_initializing_differs_from_other_throttling() -> None:
    assert is_initializing(INITIALIZING)
    assert not is_initializing(Throttled("busy", status=429))
    assert not is_initializing(Transient("storage is (re)initializing", status=500))
