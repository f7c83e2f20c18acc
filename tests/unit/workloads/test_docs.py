"""docs/kinds.md has the kinds as the table has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkg.controllers.explain import describe
from pkg.workloads import KindRow, registry
from pkg.workloads.expressions import MAX_BYTES, MAX_LENGTH

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


def test_the_bounds_of_expressions_are_those_of_the_code() -> None:
    assert f"{MAX_LENGTH:,} characters" in PAGE
    assert f"{MAX_BYTES // 1024} KiB" in PAGE
