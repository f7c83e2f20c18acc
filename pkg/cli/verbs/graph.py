"""`graph`: the flows of a Workflow as a picture, of a manifest or of a Workflow in the cluster with its phases."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from pkg.cli.connection import Connection, cluster_options
from pkg.cli.names import WRONG_USAGE, without_prefix, workflow_name
from pkg.cli.problems import Problem

if TYPE_CHECKING:
    from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplateSpec
    from pkg.views.graph.picture import Picture


@click.command("graph")
@click.argument("name", required=False, default="")
@cluster_options
@click.option("-f", "--filename", "paths", multiple=True, metavar="FILE", help="Draw a manifest, without a cluster.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["mermaid", "dot", "svg"]),
    default="mermaid",
    show_default=True,
    help="Format.",
)
@click.option("--down", is_flag=True, help="Draw it downwards instead of to the right.")
@click.option("--unfold", is_flag=True, help="Draw each replica of flows with `for`, at most 100 of each flow.")
@click.option(
    "--fold/--no-fold", default=None, help="Draw flows that are alike as one. Default: in graphs of over 150 flows."
)
@click.option("--around", multiple=True, metavar="FLOW", help="Draw only what is near this flow; may be repeated.")
@click.option("--depth", type=click.IntRange(0), default=1, show_default=True, help="How many arrows count as near.")
def command(
    connection: Connection,
    name: str,
    paths: tuple[str, ...],
    form: str,
    down: bool,
    unfold: bool,
    fold: bool | None,
    around: tuple[str, ...],
    depth: int,
) -> None:
    """Draw the flows of a Workflow: as mermaid for Markdown, as dot for Graphviz, or as an SVG picture.

    With -f it draws a manifest, else the Workflow NAME of the cluster in the colours of its phases. A box is a flow;
    one with `for` says how many replicas it has. Failure branches are dashed and red, probes dotted.
    """
    from pkg.apis.flow.v1alpha1.raw import RawError
    from pkg.views.graph.drawing import draw
    from pkg.views.graph.formats import dot, mermaid
    from pkg.views.graph.svg import svg
    from pkg.views.unknown_flows import no_flow

    if not paths and not name:
        raise click.UsageError("name a Workflow, or a manifest with -f")
    if paths:
        workflow, templates, is_faulty = _from_files(paths, name)
    else:
        workflow, templates, is_faulty = _from_cluster(connection, _cluster_name(name)), {}, False
    known = [flow.name for flow in workflow.spec.flows]
    if unknown := [flow for flow in around if flow not in known]:
        raise Problem(f"--around: {no_flow(workflow.metadata.name, unknown[0], known)}")
    try:
        # What is near a flow is looked for among all flows.
        picture = draw(workflow, templates, unfold=unfold, fold=fold if fold is not None or not around else False)
        if around:
            picture = picture.near(around, depth)
        text = {"mermaid": mermaid, "dot": dot, "svg": svg}[form](picture, is_downward=down)
    except RawError as error:
        raise Problem(f"{error}; kubectl workflow lint shows where") from error
    except ValueError as error:
        raise Problem(f"{error}: flows wait for each other; kubectl workflow lint names them") from error
    click.echo(text, nl=False)
    if is_faulty:
        click.echo(
            "note: the manifests have faults, so the picture may be wrong; kubectl workflow lint shows where", err=True
        )
    if form == "mermaid":
        _say_if_too_large(picture, text)


def _from_files(paths: tuple[str, ...], name: str) -> tuple[Workflow, Mapping[str, WorkTemplateSpec], bool]:
    """The Workflow, the templates, and whether the files have faults."""
    from pkg.cli.one_manifest import read_one_manifest
    from pkg.views.lint import has_faults, judged

    workflow, templates, _, read = read_one_manifest(paths, name)
    return workflow, {key: template.spec for key, template in templates.items()}, has_faults(judged(read))


def _cluster_name(given: str) -> str:
    """The name of a Workflow of the cluster. Raises Problem; a file that is named without -f is recognized."""
    bare = without_prefix(given)
    is_file = bare.endswith((".yaml", ".yml", ".json")) and ("/" in bare or os.path.isfile(given))
    if given == "-" or is_file:
        raise Problem(f'"{given}" is no name of a Workflow; did you mean -f {given}?', WRONG_USAGE)
    return workflow_name(given)


def _from_cluster(connection: Connection, name: str) -> Workflow:
    from pkg.views.one_workflow import read_workflow

    return read_workflow(connection.client, connection.namespace, name)


def _say_if_too_large(picture: Picture, text: str) -> None:
    from pkg.views.graph.formats import MAX_MERMAID_ARROWS, MAX_MERMAID_TEXT

    if len(picture.arrows) > MAX_MERMAID_ARROWS or len(text) > MAX_MERMAID_TEXT:
        click.echo(
            f"note: mermaid draws at most {MAX_MERMAID_ARROWS} arrows and {MAX_MERMAID_TEXT:,} characters unless its"
            f" page allows more, and this has {len(picture.arrows):,} and {len(text):,};"
            " use --fold, --around FLOW or -o svg",
            err=True,
        )
