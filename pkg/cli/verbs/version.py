"""`version`: of this program, of the API server, and of the controller."""

from __future__ import annotations

import click

from pkg.cli.connection import Connection, cluster_options
from pkg.cli.output import echo
from pkg.version import VERSION


@click.command("version")
@click.option("--client", is_flag=True, help="This program's version alone; asks no API server.")
@cluster_options
def command(connection: Connection, client: bool) -> None:
    """Print the versions of this program, of the API server and of the controller."""
    echo([f"Client: {VERSION}"])
    if client:
        return
    from pkg.views.versions import read_versions

    found = read_versions(connection.client)
    lines = [
        f"API server: {found.server} ({connection.client.server})",
        f"API: {found.api}" if found.api else "API: flow.workflow.sh is not served; kubectl apply -f installer/crds/",
    ]
    lines += [
        f"Controller: {each.version or 'version not known'} ({each.namespace}/{each.name}, image {each.image}, "
        f"{each.ready} of {each.replicas} ready)"
        for each in found.controllers
    ]
    if found.unknown:
        lines.append(f"Controller: {found.unknown}")
    echo(lines)
