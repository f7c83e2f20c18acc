"""What `approve` and `reject` have in common: one entry of spec.approvals."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from pkg.cli.arguments import APPROVAL, WORKFLOW
from pkg.cli.names import workflow_name
from pkg.cli.problems import Problem
from pkg.cli.warnings import warn

if TYPE_CHECKING:
    from pkg.cli.connection import Connection

_Verb = Callable[..., Any]


def decision_options(verb: _Verb) -> _Verb:
    """Adds NAME, FLOW[/INDEX], --comment and --dry-run to a verb."""
    for option in (
        # The last one that is added comes first.
        click.argument("flow", type=APPROVAL, metavar="FLOW[/INDEX]"),
        click.argument("name", type=WORKFLOW),
        click.option("-m", "--comment", default="", metavar="TEXT", help="Why; it is kept in spec.approvals."),
        click.option("--dry-run", is_flag=True, help="Ask the API server whether you may, and change nothing."),
    ):
        verb = option(verb)
    return verb


def run_decision(connection: Connection, decision: str, name: str, flow: str, comment: str, *, dry_run: bool) -> None:
    """Adds the entry, and says what has happened. decision: Approve or Reject."""
    from pkg.apis.flow.v1alpha1.types import ApprovalDecision
    from pkg.views.approving import CannotDecide
    from pkg.views.deciding import send_decision

    name = workflow_name(name)
    try:
        found = send_decision(
            connection.client,
            connection.namespace,
            name,
            flow,
            ApprovalDecision(decision),
            comment,
            dry_run=dry_run,
            on_warnings=warn,
        )
    except CannotDecide as error:
        raise Problem(str(error)) from error
    click.echo(f"workflow/{found.done}{' (dry run: nothing was changed)' if dry_run else ''}")
