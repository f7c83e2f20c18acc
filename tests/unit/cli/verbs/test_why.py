"""The screen of `why`."""

from __future__ import annotations

import pytest

from pkg.cli.output import Screen, width
from pkg.cli.verbs.why import render
from pkg.views.why import why
from pkg.views.workflow_view import view
from tests.unit.cli.conftest import NOW, Golden, asking, nightly


@pytest.mark.parametrize("to", [Screen(80), Screen(160), Screen()], ids=["80", "160", "piped"])
def test_why(golden: Golden, to: Screen) -> None:
    found = view(nightly(), NOW)
    lines = render(found, why(found, NOW), to)
    assert not to.width or max(map(width, lines)) <= to.width
    golden(lines)


@pytest.mark.parametrize("to", [Screen(80), Screen(160)], ids=["80", "160"])
def test_what_waits_for_a_person_or_a_lock(golden: Golden, to: Screen) -> None:
    found = view(asking(), NOW)
    lines = render(found, why(found, NOW), to)
    assert max(map(width, lines)) <= to.width
    golden(lines)
