"""`cron list`, `cron trigger`, `cron suspend` and `cron resume`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pkg.cli.arguments import CRON
from pkg.cli.connection import Connection, cluster_options
from pkg.cli.following import Follow, follow_options
from pkg.cli.formats import NAMES, OBJECTS, as_list, output_option, shown
from pkg.cli.output import Screen, cut, echo, printable, screen, table, width
from pkg.cli.warnings import warn

if TYPE_CHECKING:
    from pkg.views.cron_list import CronLine

#: A terminal shows at least so much of the schedules: most are no longer.
_SHORTEST = 14
#: And so much of what is to be corrected, or it stands below.
_SHORTEST_WHY = 30
_GAP = 3
_PREFIX = "cronworkflow.flow.workflow.sh/"


@click.group("cron")
def command() -> None:
    """List CronWorkflows, start a run of one now, or suspend and resume them."""


@command.command("list")
@cluster_options(all_namespaces=True)
@click.option("-l", "--selector", default="", metavar="LABELS", help="Label selector, such as team=a,tier!=b.")
@output_option(*OBJECTS, NAMES)
def list_all(connection: Connection, selector: str, form: str | None) -> None:
    """List CronWorkflows: schedules, state, runs that have not ended, the last and the next time."""
    from pkg.views.cron_list import read_lines, read_objects

    if form in OBJECTS:
        echo([shown(as_list(read_objects(connection.client, connection.scope, selector)), form)])
        return
    found = read_lines(connection.client, connection.scope, selector)
    if form == NAMES:
        echo(f"{_PREFIX}{one.name}" for one in found)
    elif found:
        echo(render(found, screen(), time.time(), namespaces=connection.all_namespaces))
    else:
        where = "in any namespace" if connection.scope is None else f"in namespace {connection.scope}"
        click.echo(f"no {'such ' if selector else ''}CronWorkflows {where}", err=True)


@command.command("trigger")
@click.argument("name", type=CRON)
@follow_options
@cluster_options
def trigger(connection: Connection, name: str, follow: Follow) -> None:
    """Start a run now. Its scheduled time is the present time; concurrencyPolicy does not hold it up.

    The CronWorkflow owns it, as any other run, and the run has your rights.
    """
    from pkg.apis.flow.v1alpha1.cron_runs import run_manifest
    from pkg.apis.flow.v1alpha1.schedules import ScheduleFault, Timetable
    from pkg.apis.flow.v1alpha1.types import CRONWORKFLOWS, WORKFLOWS, CronWorkflow
    from pkg.cli.problems import Problem
    from pkg.views.briefs import Brief

    follow.check(1)
    client, namespace = connection.client, connection.namespace
    cron = client.get(CRONWORKFLOWS, namespace, name, CronWorkflow)
    try:
        scheduled = Timetable.of(cron.spec.schedules, cron.spec.time_zone).written(time.time())
    except ScheduleFault as error:
        raise Problem(f"cronworkflow {name} is not valid, so it has no run to start: {error}") from error
    made = client.create(WORKFLOWS, namespace, run_manifest(cron, scheduled=scheduled), Brief, on_warnings=warn)
    click.echo(f"workflow/{made.metadata.name} created, a run of {name} at {scheduled}")
    follow.run(connection, [(made.metadata.namespace, made.metadata.name)])


@command.command("suspend")
@click.argument("names", type=CRON, nargs=-1, required=True, metavar="NAME...")
@cluster_options
def suspend(connection: Connection, names: tuple[str, ...]) -> None:
    """Make no runs until the CronWorkflow is resumed. Runs that exist go on."""
    _set(connection, names, is_suspended=True)


@command.command("resume")
@click.argument("names", type=CRON, nargs=-1, required=True, metavar="NAME...")
@cluster_options
def resume(connection: Connection, names: tuple[str, ...]) -> None:
    """Make runs again. The newest time that passed meanwhile gets its run now, unless it is too late for it."""
    _set(connection, names, is_suspended=False)


def _set(connection: Connection, names: Sequence[str], *, is_suspended: bool) -> None:
    from msgspec import json

    from pkg.apis.flow.v1alpha1.types import CRONWORKFLOWS
    from pkg.cli.problems import problem_of
    from pkg.kube.client import MERGE_PATCH
    from pkg.kube.errors import KubeError
    from pkg.views.cron_list import Listed

    client, failed = connection.client, False
    body, done = json.encode({"spec": {"suspend": is_suspended}}), "suspended" if is_suspended else "resumed"
    for name in dict.fromkeys(names):
        try:
            before = client.get(CRONWORKFLOWS, connection.namespace, name, Listed)
            if before.spec.suspend is is_suspended:
                click.echo(f"cronworkflow/{name} is {'suspended already' if is_suspended else 'not suspended'}")
                continue
            client.patch(CRONWORKFLOWS, connection.namespace, name, body, content_type=MERGE_PATCH, type=Listed)
        except KubeError as error:
            problem_of(error, client.server).show()
            failed = True
        else:
            click.echo(f"cronworkflow/{name} {done}")
    if failed:
        raise click.exceptions.Exit(1)


def render(found: Sequence[CronLine], to: Screen, now: float, *, namespaces: bool = False) -> list[str]:
    """The CronWorkflows as columns. now: seconds since the epoch. Pure.

    A terminal that has no room for what is to be corrected shows it below.
    """
    head, schedules_at = ["NAME", "SCHEDULES", "TIME ZONE", "STATE", "ACTIVE", "LAST", "NEXT"], 1
    rows = [_row(one, now) for one in found]
    if namespaces:
        head, schedules_at = ["NAMESPACE", *head], 2
        rows = [[one.namespace, *row] for one, row in zip(found, rows, strict=True)]
    widths = [max(map(width, column)) for column in zip(head, *rows, strict=True)]
    used = sum(widths) + _GAP * len(widths)
    if to.width and used > to.width:
        room = max(_SHORTEST, widths[schedules_at] - (used - to.width))
        for row in rows:
            row[schedules_at] = cut(row[schedules_at], room)
        used -= max(0, widths[schedules_at] - room)
    whys = [printable(one.why) for one in found]
    if not to.width or to.width - used >= _SHORTEST_WHY:
        return table([*head, "WHY"], [[*row, why] for row, why in zip(rows, whys, strict=True)], to)
    below = [to.cut(f"{one.name}: {why}") for one, why in zip(found, whys, strict=True) if why]
    return [*table(head, rows, to), *([""] if below else []), *below]


def _row(one: CronLine, now: float) -> list[str]:
    from pkg.views.durations import shown as time_shown

    last = f"{time_shown(max(0.0, now - one.last))} ago" if one.last else "-"
    following = f"in {time_shown(max(0.0, one.next - now))}" if one.next else "-"
    return [
        one.name,
        printable(", ".join(one.schedules)),
        printable(one.zone),
        one.state,
        str(one.active),
        last,
        following,
    ]
