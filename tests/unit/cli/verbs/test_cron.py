"""The columns of `cron list`."""

from __future__ import annotations

import pytest

from pkg.cli.output import Screen, width
from pkg.cli.verbs.cron import render
from pkg.views.cron_list import CronLine
from tests.unit.cli.conftest import NOW, Golden

DAY = 86_400.0
FOUND = [
    CronLine("team", "nightly", ("30 2 * * *",), "Europe/Berlin", "Active", 1, NOW - DAY / 3, NOW + DAY / 2),
    CronLine("team", "often", tuple(f"{at} * * * *" for at in range(32)), "UTC", "Suspended", 0, 0.0, 0.0),
    CronLine(
        "team",
        "broken",
        ("0 0 31 2 *",),
        "UTC",
        "Invalid",
        0,
        0.0,
        0.0,
        "InvalidSchedule: spec.schedules[0]: never fires: no month of 2 has a day 31\x1b[2J\nsecond line",
    ),
]


@pytest.mark.parametrize("namespaces", [False, True], ids=["", "of all namespaces"])
@pytest.mark.parametrize("to", [Screen(80), Screen(160), Screen()], ids=["80", "160", "piped"])
def test_columns(golden: Golden, to: Screen, namespaces: bool) -> None:
    lines = render(FOUND, to, NOW, namespaces=namespaces)
    assert "\x1b" not in "".join(lines)
    assert not to.width or max(map(width, lines)) <= to.width + 15 * namespaces
    golden(lines)


def test_a_narrow_terminal_shows_a_common_schedule_whole() -> None:
    assert "30 2 * * *" in render(FOUND[:1], Screen(30), NOW)[1]
