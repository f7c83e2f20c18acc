"""`watch`: one Workflow, or all of a namespace, live."""

from __future__ import annotations

import click

from pkg.cli.arguments import WORKFLOW
from pkg.cli.connection import Connection, cluster_options
from pkg.cli.problems import Problem


@click.command("watch")
@click.argument("name", type=WORKFLOW, required=False, default="")
@cluster_options(all_namespaces=True)
@click.option("-l", "--selector", default="", metavar="LABELS", help="Without NAME: label selector, such as team=a.")
@click.pass_context
def command(context: click.Context, connection: Connection, name: str, selector: str) -> None:
    """Show a Workflow live until it ends, or without NAME all Workflows until Ctrl-C. Red dots are running tasks.

    With NAME the exit code is 0 if it succeeded and 1 if it failed. Piped, it prints a line for each change.
    """
    from pkg.cli.live import watch_all, watch_one

    if not name:
        watch_all(connection, selector)
        return
    if connection.all_namespaces:
        raise Problem("a Workflow is in one namespace: give -n NAMESPACE in place of -A")
    context.exit(watch_one(connection, name))
