"""Asks before something is done that cannot be taken back."""

from __future__ import annotations

import sys

import click

from pkg.cli.problems import Problem


def confirm(question: str, *, yes: bool) -> None:
    """Asks on the terminal, and ends the command unless the answer is yes. yes: the flag --yes was given.

    Without a terminal nobody can be asked: Problem, exit code 2.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise Problem(f"{question} There is no terminal to ask on: add --yes to do it", 2)
    if not click.confirm(question, err=True):
        raise Problem("nothing was changed")
