"""`retry`: runs what did not succeed again, in the same workflow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pkg.cli.arguments import FLOW, WORKFLOW
from pkg.cli.confirm import confirm
from pkg.cli.connection import Connection, cluster_options
from pkg.cli.following import Follow, follow_options
from pkg.cli.names import workflow_name
from pkg.cli.output import Screen, echo, screen, table
from pkg.cli.parameters import parameter_option
from pkg.cli.problems import Problem

if TYPE_CHECKING:
    from pkg.views.retries import Again, Retry


@click.command("retry")
@click.argument("name", type=WORKFLOW)
@click.option(
    "--flow",
    "flows",
    type=FLOW,
    multiple=True,
    metavar="NAME",
    help="This flow and all that depend on it.",
)
@parameter_option
@click.option("--dry-run", is_flag=True, help="Say what would run again, and change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@follow_options
@cluster_options
def command(
    connection: Connection,
    name: str,
    flows: tuple[str, ...],
    parameters: dict[str, str],
    dry_run: bool,
    yes: bool,
    follow: Follow,
) -> None:
    """Run tasks of a finished workflow again: those that failed, were cancelled or skipped.

    With --flow, that flow and all flows that depend on it run again, also those that succeeded. `finally` flows, and
    services whose job is gone, run again in any case. It says first which tasks these are, and asks on a terminal.
    """
    name = workflow_name(name)
    follow.check(1)
    from pkg.views.retries import CannotRetry
    from pkg.views.retrying import new_token, read_retry, send_retry

    flows = tuple(dict.fromkeys(flows))
    client, namespace, token = connection.client, connection.namespace, new_token()
    try:
        planned = read_retry(client, namespace, name, token, flows, parameters, _warn)
        echo(lines(name, planned, screen(), dry_run=dry_run))
        for unused in planned.unused:
            _warn(f'nothing uses the parameter "{unused}"')
        if dry_run:
            return
        if planned.succeeded or sys.stdin.isatty():
            confirm(f"Retry {name}?", yes=yes)
        planned = send_retry(client, namespace, name, planned, token, flows, parameters)
    except CannotRetry as error:
        raise Problem(str(error)) from error
    click.echo(f"workflow/{name} retried: {_tasks(planned.count)} again")
    follow.run(connection, [(connection.namespace, name)], restarted=True)


def _warn(text: str) -> None:
    click.echo(f"warning: {text}", err=True)


def lines(name: str, planned: Retry, to: Screen, *, dry_run: bool) -> list[str]:
    """What runs again, as a table, and a line about what had succeeded."""
    verb = "would run" if dry_run else "run"
    count = planned.count
    found = [f"{name}: {count:,} task{'s' * (count != 1)} {verb}{'s' * (count == 1 and not dry_run)} again"]
    rows = [[each.flow, each.indexes, str(each.was or "new")] for each in planned.again]
    found += table(["FLOW", "INDEX", "WAS"], rows, to, coloured=2)
    if planned.succeeded:
        succeeded = sum(each.count for each in planned.succeeded)
        which = ", ".join(map(_named, planned.succeeded))
        found.append(f"{succeeded:,} of them Succeeded before, and {verb} again all the same: {which}")
    return found


def _named(each: Again) -> str:
    return f"{each.flow} {each.indexes}".rstrip()


def _tasks(count: int) -> str:
    return f"{count:,} task{' runs' if count == 1 else 's run'}"
