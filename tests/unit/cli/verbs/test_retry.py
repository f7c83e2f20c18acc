"""`retry` says which tasks run again, before it acts."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.cli.output import Screen
from pkg.cli.verbs.retry import lines
from pkg.views.retries import Again, Retry
from tests.unit.cli.conftest import Golden

PLANNED = Retry(
    {},
    (
        Again("train", Phase.FAILED, 2, "1,3"),
        Again("train", Phase.SUCCEEDED, 2, "0,2"),
        Again("publish-to-the-store", Phase.SKIPPED, 1),
        Again("sweep", None, 1_000, "0-999"),
        Again("clean-up", Phase.SUCCEEDED, 1),
    ),
)


@pytest.mark.parametrize(
    ("to", "dry_run"),
    [
        pytest.param(Screen(80), False, id="80"),
        pytest.param(Screen(160, colours=True), True, id="160-colours-dry-run"),
        pytest.param(Screen(), False, id="piped"),
    ],
)
def test_what_is_said(golden: Golden, to: Screen, dry_run: bool) -> None:
    golden(lines("nightly", PLANNED, to, dry_run=dry_run))


def test_one_task() -> None:
    one = Retry({}, (Again("train", Phase.FAILED, 1),))
    assert lines("w", one, Screen(), dry_run=False)[0] == "w: 1 task runs again"
    assert lines("w", one, Screen(), dry_run=True)[0] == "w: 1 task would run again"
