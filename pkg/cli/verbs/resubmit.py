"""`resubmit`: runs a copy of a workflow under a new name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import click

from pkg.cli.arguments import WORKFLOW
from pkg.cli.connection import Connection, cluster_options
from pkg.cli.following import Follow, follow_options
from pkg.cli.names import workflow_name
from pkg.cli.parameters import parameter_option
from pkg.cli.problems import Problem
from pkg.cli.warnings import warn
from pkg.kube.errors import Exists, KubeError


@click.command("resubmit")
@click.argument("name", type=WORKFLOW)
@click.option(
    "--name", "new", default="", metavar="NEW", help="Name of the copy. Default: the old name and five characters."
)
@parameter_option
@click.option("--dry-run", is_flag=True, help="Print the copy as YAML, and send nothing.")
@follow_options
@cluster_options
def command(
    connection: Connection,
    name: str,
    new: str,
    parameters: dict[str, str],
    dry_run: bool,
    follow: Follow,
) -> None:
    """Run a copy of a workflow under a new name, whether the old one has ended or not.

    The copy has the spec, labels and annotations of the old one. suspend, shutdown and restart stay behind, and so do
    the marks of Helm, Argo CD and Flux, which would remove a copy that they do not know.
    """
    from msgspec import json

    from pkg.apis.flow.v1alpha1.types import WORKFLOWS
    from pkg.views.briefs import Brief
    from pkg.views.copies import copy_of

    follow.check(1)
    old, new = workflow_name(name), workflow_name(new) if new else ""
    client = connection.client
    original = json.decode(client.get(WORKFLOWS, connection.namespace, old, bytes))
    copied = copy_of(original, name=new, parameters=parameters)
    if parameters:
        _warn_of_unused(connection, copied, parameters)
    if dry_run:
        from pkg.views.manifests.writing import as_yaml

        click.echo(as_yaml(copied), nl=False)
        return
    try:
        made = client.create(WORKFLOWS, connection.namespace, copied, Brief, on_warnings=warn)
    except Exists as error:
        raise Problem(
            f"a workflow {new} exists already in {connection.namespace}; give the copy another name"
        ) from error
    click.echo(f"workflow/{made.metadata.name} created, a copy of {old}")
    follow.run(connection, [(made.metadata.namespace, made.metadata.name)])


def _warn_of_unused(connection: Connection, copied: dict[str, Any], parameters: Collection[str]) -> None:
    """Names the parameters that nothing in the copy uses, as far as its templates can be read."""
    from msgspec import json

    from pkg.apis.flow.v1alpha1.types import Workflow
    from pkg.views.retries import unused_parameters
    from pkg.views.templates import read_templates

    workflow = json.decode(json.encode(copied), type=Workflow)
    try:
        templates = read_templates(connection.client, connection.namespace, workflow.spec.template_names)
    except KubeError:
        return
    warn(tuple(f'nothing uses the parameter "{name}"' for name in unused_parameters(workflow, templates, parameters)))
