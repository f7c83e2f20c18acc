"""How far a long command is, on a terminal alone."""

from __future__ import annotations

import io

import pytest

from pkg.cli.progress import MANY, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(monkeypatch: pytest.MonkeyPatch, to: io.StringIO, total: int) -> str:
    monkeypatch.setattr("sys.stderr", to)
    progress = Progress(total, "deleted")
    for _ in range(total):
        progress.step()
    progress.clear()
    return to.getvalue()


def test_on_a_terminal_the_last_line_counts_and_goes_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn(monkeypatch, Terminal(), 1_200)
    assert text.startswith("\r1 of 1,200 deleted")
    assert text.endswith("\r1,200 of 1,200 deleted\r\x1b[K")


@pytest.mark.parametrize(
    ("to", "total"),
    [pytest.param(io.StringIO(), 1_200, id="piped"), pytest.param(Terminal(), MANY - 1, id="a few")],
)
def test_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch, to: io.StringIO, total: int) -> None:
    assert drawn(monkeypatch, to, total) == ""
