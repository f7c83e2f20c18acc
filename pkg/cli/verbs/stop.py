"""`stop`: sets spec.shutdown to Stop."""

from __future__ import annotations

import click

from pkg.cli.choosing import choice_options
from pkg.cli.connection import Connection, cluster_options


@click.command("stop")
@choice_options
@cluster_options(all_namespaces=True)
def command(connection: Connection, names: tuple[str, ...], selector: str, is_all: bool, yes: bool) -> None:
    """End a workflow gently: jobs that run may end.

    Nothing else starts but `finally` flows. The workflow ends as Failed, with reason Stopped.
    """
    from pkg.cli.acting import run_action
    from pkg.views.actions import Action

    run_action(connection, Action.STOP, names, selector, is_all, yes)
