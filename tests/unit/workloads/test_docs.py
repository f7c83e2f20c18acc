"""docs/kinds.md has the kinds as the table has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkg.controllers.explain import describe
from pkg.workloads import KindRow, registry
from pkg.workloads.costs import MAX_PATTERN, MAX_STEPS
from pkg.workloads.evaluator import MAX_DEPTH, MAX_PREDICATES
from pkg.workloads.expressions import MAX_EXPRESSIONS, MAX_LENGTH, MAX_NODES
from pkg.workloads.extents import SURE_WEIGHT
from pkg.workloads.look import MAX_CONDITIONS
from pkg.workloads.model import MAX_RULES
from pkg.workloads.paths import MAX_LENGTH as MAX_PATH
from pkg.workloads.projection import MAX_DEPTH as MAX_LEVELS
from pkg.workloads.projection import MAX_WEIGHT

PAGE = (Path(__file__).parents[3] / "docs" / "kinds.md").read_text("utf-8")
ROWS = [row for row in registry().kinds if not row.refused]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.resource}.{row.version}.{row.group}" for row in ROWS])
def test_each_kind_stands_in_the_table_as_it_is_read(row: KindRow) -> None:
    name = ".".join(part for part in (row.resource, row.version, row.group) if part)
    (line,) = [line for line in PAGE.splitlines() if line.startswith("| ") and f" `{name}` " in line]
    cells = [cell.strip() for cell in line.strip("|").split(" | ")]
    texts = ["<br>".join(describe(one) for one in rules) or "-" for rules in (row.rules.ok, row.rules.fail)]
    assert cells[0] == row.kind
    assert cells[3:5] == texts


@pytest.mark.parametrize(
    "text",
    [
        f"{MAX_LENGTH:,} characters",
        f"{MAX_EXPRESSIONS} of them `cel`",
        f"{MAX_NODES:,} nodes",
        f"{MAX_STEPS:,} steps",
        f"{SURE_WEIGHT:,} values",
        f"{MAX_WEIGHT:,} values",
        f"{MAX_LEVELS} levels",
        f"{MAX_PATTERN} characters",
        f"{MAX_PREDICATES} predicates",
        f"{MAX_RULES // 1024} KiB",
        f"{MAX_PATH} characters",
        f"{MAX_CONDITIONS:,} entries",
        f"{MAX_DEPTH} levels of `all`",
    ],
)
def test_the_page_has_the_bounds_of_the_code(text: str) -> None:
    assert text in " ".join(PAGE.split())
