"""The columns of `events`."""

from __future__ import annotations

import pytest

from pkg.cli.output import Screen
from pkg.cli.verbs.events import render
from pkg.views.events import EventLine
from tests.unit.cli.conftest import NOW, Golden

LINES = [
    EventLine(
        NOW - 300, "Normal", "Scheduled", "pod/w-train-x7k2p", "Successfully assigned team/w-train-x7k2p to node-1", 1
    ),
    EventLine(NOW - 4, "Warning", "BackOff", "pod/w-train-x7k2p", "Back-off restarting\nfailed container", 17),
]


@pytest.mark.parametrize("to", [Screen(80), Screen(160), Screen(160, colours=True)], ids=["80", "160", "160-colours"])
def test_events(golden: Golden, to: Screen) -> None:
    golden(render(LINES, NOW, to))
