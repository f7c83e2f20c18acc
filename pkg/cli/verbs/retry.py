"""`retry`: runs what did not succeed again, in the same workflow."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from pkg.cli.arguments import FLOW, WORKFLOW
from pkg.cli.confirm import confirm
from pkg.cli.connection import Connection, cluster_options
from pkg.cli.following import Follow, follow_options
from pkg.cli.names import workflow_name
from pkg.cli.output import Screen, echo, screen, table
from pkg.cli.parameters import parameter_option
from pkg.cli.problems import Problem
from pkg.kube.errors import Conflict, Forbidden, NotFound

if TYPE_CHECKING:
    from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplate
    from pkg.apis.meta import GVR, Job
    from pkg.views.retries import Again, Retry

_TRIES: Final = 5


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
    token = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    flows = tuple(dict.fromkeys(flows))
    planned = _planned(connection, name, token, flows, parameters)
    echo(lines(name, planned, screen(), dry_run=dry_run))
    for unused in planned.unused:
        click.echo(f'warning: nothing uses the parameter "{unused}"', err=True)
    if dry_run:
        return
    if planned.succeeded or sys.stdin.isatty():
        confirm(f"Retry {name}?", yes=yes)
    for _ in range(_TRIES):
        try:
            _send(connection, name, planned)
            break
        except Conflict:
            # Somebody changed the workflow, perhaps the controller its status.
            again = _planned(connection, name, token, flows, parameters)
            if again.again != planned.again:
                raise Problem(f"{name} was changed meanwhile; run the command again to see what it means now") from None
            planned = again
    else:
        raise Problem(f"{name} is being changed by somebody else all the time; try again in a moment")
    click.echo(f"workflow/{name} retried: {_tasks(planned.count)} again")
    follow.run(connection, [(connection.namespace, name)], restarted=True)


def _planned(
    connection: Connection, name: str, token: str, flows: tuple[str, ...], parameters: dict[str, str]
) -> Retry:
    from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Workflow
    from pkg.views.retries import CannotRetry, check_state, plan_retry

    workflow = connection.client.get(WORKFLOWS, connection.namespace, name, Workflow)
    try:
        check_state(workflow)
        templates = _templates(connection, workflow)
        services = _services(connection, workflow, templates)
        return plan_retry(workflow, token, templates, services, flows=flows, parameters=parameters)
    except CannotRetry as error:
        raise Problem(str(error)) from error


def _templates(connection: Connection, workflow: Workflow) -> dict[str, WorkTemplate]:
    from pkg.views.templates import read_templates

    try:
        return read_templates(connection.client, connection.namespace, workflow.spec.template_names)
    except Forbidden:
        click.echo("warning: without the right to read WorkTemplates, more may run again than is listed", err=True)
        return {}


def _services(connection: Connection, workflow: Workflow, templates: dict[str, WorkTemplate]) -> list[tuple[GVR, Job]]:
    """The jobs of services; a service whose job is gone runs again."""
    from pkg.apis.flow.v1alpha1 import labels
    from pkg.apis.meta import Job
    from pkg.views.paging import read_all
    from pkg.views.retries import service_kinds

    selector = f"{labels.WORKFLOW_UID}={workflow.metadata.uid}"
    found: list[tuple[GVR, Job]] = []
    for gvr in sorted(service_kinds(workflow, templates)):
        try:
            jobs = read_all(connection.client, gvr, connection.namespace, Job, label_selector=selector)
        except Forbidden:
            text = (
                f"warning: without the right to list {gvr.group_resource}, services are listed although they may stay"
            )
            click.echo(text, err=True)
        except NotFound:
            continue
        else:
            found += [(gvr, job) for job in jobs]
    return found


def _send(connection: Connection, name: str, planned: Retry) -> None:
    from msgspec import json

    from pkg.apis.flow.v1alpha1.types import WORKFLOWS
    from pkg.apis.meta import PartialObject
    from pkg.kube.client import MERGE_PATCH

    connection.client.patch(
        WORKFLOWS,
        connection.namespace,
        name,
        json.encode(planned.patch),
        content_type=MERGE_PATCH,
        type=PartialObject,
        metadata_only=True,
    )


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
