"""`events`: of a Workflow, its jobs and their pods."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pkg.cli.arguments import FLOW, WORKFLOW
from pkg.cli.connection import Connection, cluster_options
from pkg.cli.output import Screen, echo, printable, screen, table
from pkg.cli.problems import Problem

if TYPE_CHECKING:
    from pkg.views.events import EventLine


@click.command("events")
@click.argument("name", type=WORKFLOW)
@click.argument("flow", type=FLOW, required=False, default="")
@cluster_options
@click.option("--warnings", is_flag=True, help="Only warnings.")
def command(connection: Connection, name: str, flow: str, warnings: bool) -> None:
    """List the Events of a Workflow, its jobs and their pods, or of one FLOW; the newest last.

    The API server keeps Events for an hour, unless it is told otherwise.
    """
    from pkg.views.events import read_events
    from pkg.views.one_workflow import read_workflow
    from pkg.views.unknown_flows import no_flow

    workflow = read_workflow(connection.client, connection.namespace, name)
    spec, status = workflow.spec.flows, workflow.status.flows
    names = dict.fromkeys([*(each.name for each in spec), *(each.name for each in status)])
    if flow and flow not in names:
        raise Problem(no_flow(name, flow, list(names)))
    found = read_events(connection.client, workflow, flow=flow)
    lines = [one for one in found.lines if not warnings or one.type == "Warning"]
    if lines:
        echo(render(lines, time.time(), screen()))
    else:
        click.echo(f"no {'warnings' if warnings else 'Events'} of workflow {name} are kept", err=True)
    for said in found.unread:
        click.echo(printable(f"without the Events of jobs that could not be read: {said}"), err=True)


def render(lines: Sequence[EventLine], now: float, to: Screen) -> list[str]:
    """The Events as columns. Pure."""
    from pkg.views.durations import shown

    rows = [
        (
            shown(max(0.0, now - one.at)),
            one.type,
            one.reason,
            one.where,
            printable(one.message) + (f" (x{one.count})" if one.count > 1 else ""),
        )
        for one in lines
    ]
    found = table(("SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"), rows, to)
    if to.colours:
        found[1:] = [
            to.paint(text, "yellow") if one.type == "Warning" else text
            for text, one in zip(found[1:], lines, strict=True)
        ]
    return found
