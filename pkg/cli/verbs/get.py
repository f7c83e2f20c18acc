"""`get`: one Workflow as a tree."""

from __future__ import annotations

import time

import click

from pkg.cli.arguments import WORKFLOW
from pkg.cli.connection import Connection, cluster_options
from pkg.cli.formats import NAMES, OBJECTS, output_option, shown
from pkg.cli.output import echo, screen


@click.command("get")
@click.argument("name", type=WORKFLOW)
@cluster_options
@click.option("--all", "unfold", is_flag=True, help="List every replica of large flows.")
@output_option("wide", *OBJECTS, NAMES)
def command(connection: Connection, name: str, unfold: bool, form: str | None) -> None:
    """Show a Workflow as a tree: flows, replicas, attempts, how long each took, why it waits or failed.

    The replicas of a flow with more than ten are folded into ranges of indexes. -o wide adds what each flow waits for.
    """
    from pkg.cli.tree import heading, outputs, tree
    from pkg.views.one_workflow import read_object, read_one

    if form in OBJECTS:
        echo([shown(read_object(connection.client, connection.namespace, name), form)])
        return
    now = time.time()
    read = read_one(connection.client, connection.namespace, name, now)
    if form == NAMES:
        echo([f"workflow.flow.workflow.sh/{read.view.name}"])
        return
    to = screen()
    echo(
        [
            *heading(read.view, to),
            "",
            *tree(read.view, now, to, unfold=unfold, wide=form == "wide"),
            *outputs(read.view, to),
        ]
    )
    for said in read.unread:
        click.echo(f"attempts are not shown of {said}", err=True)
