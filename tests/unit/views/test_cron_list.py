"""CronWorkflows as lines, and as columns."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.cli.output import Screen
from pkg.cli.verbs.cron import render
from pkg.views.cron_list import Listed, line_of

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
META = {"name": "nightly", "namespace": "team"}
INVALID = {"conditions": [{"type": "Valid", "status": "False"}]}


def listed(spec: dict[str, Any], status: dict[str, Any] | None = None) -> Listed:
    found = {"metadata": META, "spec": {"schedules": ["30 2 * * *"], **spec}, "status": status or {}}
    return msgspec.json.decode(msgspec.json.encode(found), type=Listed)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (listed({}), "Active"),
        (listed({"suspend": True}), "Suspended"),
        (listed({"suspend": True}, INVALID), "Invalid"),
    ],
)
def test_the_state(found: Listed, state: str) -> None:
    assert line_of(found).state == state


def test_columns() -> None:
    times = {"lastScheduleTime": "2027-01-15T02:00:00Z", "nextScheduleTime": "2027-01-15T08:30:00Z", "activeCount": 2}
    lines = [line_of(listed({"timeZone": "Europe/Berlin"}, times)), line_of(listed({"suspend": True}))]
    assert render(lines, Screen(), NOW, namespaces=True) == [
        "NAMESPACE   NAME      SCHEDULES    TIME ZONE       STATE       ACTIVE   LAST     NEXT     WHY",
        "team        nightly   30 2 * * *   Europe/Berlin   Active      2        6h ago   in 30m",
        "team        nightly   30 2 * * *   UTC             Suspended   0        -        -",
    ]
