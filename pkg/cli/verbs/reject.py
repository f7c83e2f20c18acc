"""`reject`: adds an entry to spec.approvals."""

from __future__ import annotations

import click

from pkg.cli.approving import decision_options, run_decision
from pkg.cli.connection import Connection, cluster_options


@click.command("reject")
@decision_options
@cluster_options
def command(connection: Connection, name: str, flow: str, comment: str, dry_run: bool) -> None:
    """Reject a flow that waits for a person, or one index of it: it has Failed.

    Without /INDEX all of its tasks are rejected that are not decided yet. A restart asks again.
    """
    run_decision(connection, "Reject", name, flow, comment, dry_run=dry_run)
