"""NAME..., -l, --all and --yes: the Workflows that suspend, resume, stop and terminate change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from pkg.cli.arguments import WORKFLOW

_Verb = Callable[..., Any]


def choice_options(verb: _Verb) -> _Verb:
    """Adds NAME..., -l, --all and --yes to a verb."""
    for option in (
        click.argument("names", type=WORKFLOW, nargs=-1, metavar="NAME..."),
        click.option(
            "-l", "--selector", default="", metavar="LABELS", help="Workflows with these labels, such as team=a."
        ),
        click.option("--all", "is_all", is_flag=True, help="All workflows that have not ended."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask before more than one workflow is changed."),
    ):
        verb = option(verb)
    return verb
