"""`approve`: adds an entry to spec.approvals."""

from __future__ import annotations

import click

from pkg.cli.approving import decision_options, run_decision
from pkg.cli.connection import Connection, cluster_options


@click.command("approve")
@decision_options
@cluster_options
def command(connection: Connection, name: str, flow: str, comment: str, dry_run: bool) -> None:
    """Approve a flow that waits for a person, or one index of it: it has Succeeded.

    Without /INDEX all of its tasks are approved that are not decided yet. Who may is said by the flow's approvers;
    `kubectl workflow why` shows what waits.
    """
    run_decision(connection, "Approve", name, flow, comment, dry_run=dry_run)
