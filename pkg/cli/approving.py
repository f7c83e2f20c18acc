"""What `approve` and `reject` have in common: one entry of spec.approvals."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from pkg.cli.arguments import FLOW, WORKFLOW
from pkg.cli.names import workflow_name
from pkg.cli.problems import Problem
from pkg.cli.warnings import warn
from pkg.kube.errors import Conflict, Refused

if TYPE_CHECKING:
    from pkg.cli.connection import Connection

_TRIES: Final = 10
_Verb = Callable[..., Any]


def decision_options(verb: _Verb) -> _Verb:
    """Adds NAME, FLOW[/INDEX], --comment and --dry-run to a verb."""
    for option in (
        # The last one that is added comes first.
        click.argument("flow", type=FLOW, metavar="FLOW[/INDEX]"),
        click.argument("name", type=WORKFLOW),
        click.option("-m", "--comment", default="", metavar="TEXT", help="Why; it is kept in spec.approvals."),
        click.option("--dry-run", is_flag=True, help="Ask the API server whether you may, and change nothing."),
    ):
        verb = option(verb)
    return verb


def run_decision(connection: Connection, decision: str, name: str, flow: str, comment: str, *, dry_run: bool) -> None:
    """Adds the entry, and says what has happened. decision: Approve or Reject."""
    from msgspec import json

    from pkg.apis.flow.v1alpha1.types import WORKFLOWS, ApprovalDecision, Workflow
    from pkg.apis.meta import PartialObject
    from pkg.kube.client import JSON_PATCH
    from pkg.views.approving import CannotDecide, decide

    name = workflow_name(name)
    client, namespace = connection.client, connection.namespace
    for left in reversed(range(_TRIES)):
        workflow = client.get(WORKFLOWS, namespace, name, Workflow)
        try:
            found = decide(workflow, flow, ApprovalDecision(decision), comment)
        except CannotDecide as error:
            raise Problem(str(error)) from error
        try:
            client.patch(
                WORKFLOWS,
                namespace,
                name,
                json.encode(found.steps),
                content_type=JSON_PATCH,
                type=PartialObject,
                metadata_only=True,
                dry_run=dry_run,
                on_warnings=warn,
            )
        except (Conflict, Refused) as error:
            # Its status, or somebody else's entry: the version that is tested is another one by now.
            if not left or not (isinstance(error, Conflict) or _is_failed_test(error)):
                raise
        else:
            break
    click.echo(f"workflow/{found.done}{' (dry run: nothing was changed)' if dry_run else ''}")


def _is_failed_test(error: Refused) -> bool:
    """Whether the API server says that the object is another one than the patch is meant for."""
    return "testing" in error.message and "path" in error.message
