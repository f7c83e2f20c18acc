"""`resume`: takes spec.suspend back."""

from __future__ import annotations

import click

from pkg.cli.acting import choice_options, run_action
from pkg.cli.connection import Connection, cluster_options
from pkg.views.actions import Action


@click.command("resume")
@choice_options
@cluster_options(all_namespaces=True)
def command(connection: Connection, names: tuple[str, ...], selector: str, is_all: bool, yes: bool) -> None:
    """Let a suspended workflow go on."""
    run_action(connection, Action.RESUME, names, selector, is_all, yes)
