"""Whoever cannot be asked must say yes beforehand."""

from __future__ import annotations

import io

import click
import pytest

from pkg.cli.confirm import confirm
from pkg.cli.problems import Problem


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("answer", [pytest.param("y\n", id="yes"), pytest.param("YES\n", id="yes, loudly")])
def test_yes(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    confirm("Delete it?", yes=False)


@pytest.mark.parametrize("answer", [pytest.param("n\n", id="no"), pytest.param("\n", id="nothing")])
def test_no(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    with pytest.raises(Problem) as caught:
        confirm("Delete it?", yes=False)
    assert (caught.value.message, caught.value.exit_code) == ("nothing was changed", 1)


def test_the_end_of_the_input_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(""))
    with pytest.raises(click.Abort):
        confirm("Delete it?", yes=False)


def test_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    confirm("Delete it?", yes=True)
    with pytest.raises(Problem) as caught:
        confirm("Delete it?", yes=False)
    assert caught.value.message == "Delete it? There is no terminal to ask on: add --yes to do it"
    assert caught.value.exit_code == 2
