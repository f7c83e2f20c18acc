"""Every sentence of the contract names tests that exist, and every listed file is used."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LINES = (ROOT / "docs" / "contract.md").read_text("utf-8").splitlines()
FILES = dict(re.findall(r"^\| `(\w+)` \| (tests/\S+\.py) \|$", "\n".join(LINES), re.MULTILINE))
ROWS = [
    (sentence, re.findall(r"`(\w+)::(\w+)`", shown))
    for sentence, shown in (
        line.strip("| ").split(" | ") for line in LINES if line.startswith("| ") and line.count(" | ") == 1
    )
    if sentence not in ("Short", "Sentence") and not re.fullmatch(r"`\w+`", sentence)
]


@cache
def defined_in(path: str) -> frozenset[str]:
    """The test functions of a file, read without importing it."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("sentence", "shown"), ROWS, ids=[sentence for sentence, _ in ROWS])
def test_a_sentence_is_shown_by_tests_that_exist(sentence: str, shown: list[tuple[str, str]]) -> None:
    assert shown, f"no test shows: {sentence}"
    for short, test in shown:
        assert short in FILES, f"{short} is not in the list of files"
        assert test in defined_in(FILES[short]), f"{FILES[short]} has no {test}"


def test_every_row_is_read() -> None:
    """A row that is written in another way would go unchecked."""
    rows = [line for line in LINES if line.startswith("|") and "::" in line]
    assert len(rows) == len(ROWS) > 100
    named = sum(line.count("::") for line in rows)
    assert named == sum(len(shown) for _, shown in ROWS)


def test_every_file_in_the_list_is_there_and_used() -> None:
    used = {short for _, shown in ROWS for short, _ in shown}
    assert used == set(FILES)
    assert all((ROOT / path).is_file() for path in FILES.values())


@pytest.mark.parametrize(("short", "path"), FILES.items())
def test_a_short_name_ends_as_its_file_does(short: str, path: str) -> None:
    """So a reader finds the file without the list, and a renamed file renames its short name."""
    assert short.endswith(Path(path).stem.removeprefix("test_"))
