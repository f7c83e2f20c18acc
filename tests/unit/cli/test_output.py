"""Columns and colours."""

from __future__ import annotations

import pytest

from pkg.cli.output import Screen, cut, printable, screen, table, width

ROWS = [("nightly", "Running", "train: waits for prepare"), ("n", "Failed", "")]


def test_piped_columns_are_aligned_and_never_cut() -> None:
    assert table(("NAME", "PHASE", "WHY"), ROWS, Screen()) == [
        "NAME      PHASE     WHY",
        "nightly   Running   train: waits for prepare",
        "n         Failed",
    ]


def test_a_terminal_cuts_the_last_column_to_its_width() -> None:
    lines = table(("NAME", "PHASE", "WHY"), ROWS, Screen(width=30))
    assert lines[1] == "nightly   Running   train: wa…"
    assert max(map(len, lines)) == 30


def test_colours_change_no_width() -> None:
    plain = table(("NAME", "PHASE", "WHY"), ROWS, Screen(80))
    coloured = table(("NAME", "PHASE", "WHY"), ROWS, Screen(80, colours=True), coloured=1)
    assert "\x1b[31mRunning\x1b[0m   train" in coloured[1]
    assert len(coloured[1]) == len(plain[1]) + len("\x1b[31m\x1b[0m")


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        pytest.param("abc", 3, "abc", id="it fits"),
        pytest.param("abcd", 3, "ab…", id="it is cut"),
        pytest.param("日本語", 5, "日本…", id="wide characters take two columns"),
        pytest.param("abc", 0, "", id="no room"),
    ],
)
def test_cut(text: str, limit: int, expected: str) -> None:
    assert cut(text, limit) == expected
    assert width(cut(text, limit)) <= limit


def test_another_persons_text_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\r\n\x9bc") == "a\N{REPLACEMENT CHARACTER}[2Jb \N{REPLACEMENT CHARACTER}c"


class _Terminal:
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "colours"),
    [
        pytest.param({}, True, id="a terminal has colours"),
        pytest.param({"NO_COLOR": "1"}, False, id="NO_COLOR"),
        pytest.param({"NO_COLOR": ""}, True, id="an empty NO_COLOR counts as none"),
        pytest.param({"TERM": "dumb"}, False, id="a dumb terminal"),
    ],
)
def test_colours_only_where_wanted(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], colours: bool) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", _Terminal())
    assert screen().colours is colours
