"""What `watch` draws."""

from __future__ import annotations

import click
import pytest

from pkg.cli.live import many, one
from pkg.cli.output import Screen, width
from pkg.views.workflow_list import line
from pkg.views.workflow_view import view
from tests.unit.cli.conftest import NOW, Golden, nightly
from tests.unit.cli.verbs.test_list import FOUND


@pytest.mark.parametrize(
    ("to", "height"),
    [
        pytest.param(Screen(80), 24, id="80"),
        pytest.param(Screen(160), 24, id="160"),
        pytest.param(Screen(80), 10, id="80-low"),
    ],
)
def test_one(golden: Golden, to: Screen, height: int) -> None:
    lines = one(view(nightly(), NOW), to, height)
    assert len(lines) <= height
    assert max(map(width, lines)) <= to.width
    golden(lines)


def test_running_tasks_are_red_dots() -> None:
    coloured = one(view(nightly(), NOW), Screen(160, colours=True), 24)
    (train,) = [text for text in coloured if text.startswith("train ")]
    assert click.style("●", fg="red") in train
    assert [click.unstyle(text).rstrip() for text in coloured] == one(view(nightly(), NOW), Screen(160), 24)


@pytest.mark.parametrize("height", [24, 6], ids=["all", "low"])
def test_many(golden: Golden, height: int) -> None:
    lines = many([line(found, NOW) for found in FOUND], Screen(80), height, namespaces=False)
    assert len(lines) <= height
    golden(lines)
