"""`list`: the Workflows of a namespace, or of all."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import click

from pkg.cli.connection import Connection, cluster_options
from pkg.cli.formats import NAMES, OBJECTS, as_list, output_option, shown
from pkg.cli.output import Screen, echo, printable, screen, table
from pkg.cli.selecting import selected_by

if TYPE_CHECKING:
    from pkg.views.workflow_list import Line


@click.command("list")
@cluster_options(all_namespaces=True)
@click.option("-l", "--selector", default="", metavar="LABELS", help="Label selector, such as team=a,tier!=b.")
@click.option("--field-selector", default="", metavar="FIELDS", help="Field selector: metadata.name=NAME.")
@click.option(
    "--phase",
    "phases",
    multiple=True,
    metavar="PHASE",
    callback=selected_by("parse_phases"),
    help="Only these phases, such as Running,Failed.",
)
@click.option("--blocked", is_flag=True, help="Only those that wait for a person.")
@output_option("wide", *OBJECTS, NAMES)
def command(
    connection: Connection, selector: str, field_selector: str, phases: Collection[str], blocked: bool, form: str | None
) -> None:
    """List Workflows: phase, progress, age, duration, and why they wait or failed.

    DURATION is the time since the start, or from start to end. On a terminal WHY is cut to its width.
    """
    from pkg.views.workflow_list import read_lines, read_names, read_objects

    chosen = {"label_selector": selector, "field_selector": field_selector}
    filtered = bool(phases or blocked)
    if form is not None and form != "wide" and not filtered:
        if form == NAMES:
            names = read_names(connection.client, connection.scope, **chosen)
            echo(f"workflow.flow.workflow.sh/{name}" for _, name in names)
        else:
            echo([shown(as_list(read_objects(connection.client, connection.scope, **chosen)), form)])
        return
    found = read_lines(connection.client, connection.scope, time.time(), **chosen, phases=phases, only_blocked=blocked)
    if form == NAMES:
        echo(f"workflow.flow.workflow.sh/{one.name}" for one in found)
    elif form in OBJECTS:
        kept = {(one.namespace, one.name) for one in found}
        objects = read_objects(connection.client, connection.scope, **chosen)
        wanted = [one for one in objects if (one["metadata"]["namespace"], one["metadata"]["name"]) in kept]
        echo([shown(as_list(wanted), form)])
    elif found:
        echo(render(found, screen(), wide=form == "wide", namespaces=connection.all_namespaces))
    else:
        where = "in any namespace" if connection.scope is None else f"in namespace {connection.scope}"
        such = "such " if filtered or selector or field_selector else ""
        click.echo(f"no {such}Workflows {where}", err=True)


def render(found: Sequence[Line], to: Screen, *, wide: bool = False, namespaces: bool = False) -> list[str]:
    """The lines as columns. wide: also how many tasks run and have failed. namespaces: with their namespaces."""
    from pkg.views.durations import shown as time_shown

    head = ["NAME", "PHASE", "PROGRESS", "AGE", "DURATION", "WHY"]
    # A column without a value would move those behind it, for programs that split lines at blanks.
    rows = [
        [text or "-" for text in (one.name, one.phase, one.progress, time_shown(one.age), time_shown(one.seconds))]
        + [printable(one.why)]
        for one in found
    ]
    if wide:
        head[3:3] = ["RUNNING", "FAILED"]
        for row, one in zip(rows, found, strict=True):
            row[3:3] = [str(one.running), str(one.failed)]
    if namespaces:
        head.insert(0, "NAMESPACE")
        for row, one in zip(rows, found, strict=True):
            row.insert(0, one.namespace)
    return table(head, rows, to, coloured=head.index("PHASE"))
