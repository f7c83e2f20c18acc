"""`terminate`: sets spec.shutdown to Terminate."""

from __future__ import annotations

import click

from pkg.cli.choosing import choice_options
from pkg.cli.connection import Connection, cluster_options


@click.command("terminate")
@choice_options
@cluster_options(all_namespaces=True)
def command(connection: Connection, names: tuple[str, ...], selector: str, is_all: bool, yes: bool) -> None:
    """End a workflow at once: its unfinished jobs are deleted.

    `finally` flows do not run. The workflow ends as Failed, with reason Terminated.
    """
    from pkg.cli.acting import run_action
    from pkg.views.actions import Action

    run_action(connection, Action.TERMINATE, names, selector, is_all, yes)
