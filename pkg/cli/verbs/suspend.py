"""`suspend`: sets spec.suspend."""

from __future__ import annotations

import click

from pkg.cli.choosing import choice_options
from pkg.cli.connection import Connection, cluster_options


@click.command("suspend")
@choice_options
@cluster_options(all_namespaces=True)
def command(connection: Connection, names: tuple[str, ...], selector: str, is_all: bool, yes: bool) -> None:
    """Start no new jobs of a workflow until it is resumed.

    Jobs that run go on.
    """
    from pkg.cli.acting import run_action
    from pkg.views.actions import Action

    run_action(connection, Action.SUSPEND, names, selector, is_all, yes)
