"""`resume`: takes spec.suspend back."""

from __future__ import annotations

import click

from pkg.cli.choosing import choice_options
from pkg.cli.connection import Connection, cluster_options


@click.command("resume")
@choice_options
@cluster_options(all_namespaces=True)
def command(connection: Connection, names: tuple[str, ...], selector: str, is_all: bool, yes: bool) -> None:
    """Let a suspended workflow go on."""
    from pkg.cli.acting import run_action
    from pkg.views.actions import Action

    run_action(connection, Action.RESUME, names, selector, is_all, yes)
