"""`render`: the job objects that the controller would make, by its own renderer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import click

from pkg.cli.connection import Connection, cluster_options
from pkg.cli.files import read_files
from pkg.cli.output import clean
from pkg.cli.parameters import parameter_option
from pkg.cli.problems import Problem

if TYPE_CHECKING:
    from pkg.apis.flow.v1alpha1.types import CronWorkflow, Workflow, WorkTemplate
    from pkg.apis.meta import GVR
    from pkg.kinds.kind import Kind
    from pkg.views.lint import Read
    from pkg.views.rendering import Job

WRONG_USAGE = 2


def _indexes(_context: click.Context, _parameter: click.Parameter, given: str | None) -> tuple[int, ...]:
    """`0-3,7` as numbers."""
    found: list[int] = []
    for part in given.split(",") if given is not None else ():
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > 12:
            raise click.BadParameter(f'"{part}" is no index: write numbers and ranges, such as 0-3,7')
        if dash and int(last) < int(first):
            raise click.BadParameter(f"the range {part} runs backwards; write {last}-{first}")
        found.extend(range(int(first), min(int(last or first), int(first) + 10_000) + 1))
    return tuple(dict.fromkeys(found))


def _values(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.startswith("flows."):
            raise click.BadParameter(f'"{text}": write flows.NAME.outputs.OUTPUT=VALUE or flows.NAME.podIP=ADDRESS')
        found[name.strip("{} ")] = value
    return found


@click.command("render")
@click.argument("paths", nargs=-1, metavar="[FILE|FOLDER|-]...")
@click.option(
    "-f", "--filename", "named", multiple=True, metavar="FILE", help="The same as an argument, as in kubectl."
)
@click.option("-R", "--recursive", is_flag=True, help="Look into the folders of a folder too.")
@parameter_option
@click.option(
    "--workflow", "workflow_name", default="", metavar="NAME", help="This Workflow alone, where there are several."
)
@click.option(
    "--flow", "flows", multiple=True, metavar="NAME", help="The jobs of this flow alone. May be given several times."
)
@click.option(
    "--index",
    "indexes",
    default=None,
    metavar="INDEXES",
    callback=_indexes,
    help="These indexes of flows with `for` alone, such as 0-3,7. Flows without indexes are left out.",
)
@click.option(
    "--attempt", default=0, type=click.IntRange(0, 100_000), help="As this retry. Default: 0, the first attempt."
)
@click.option("-o", "--output", type=click.Choice(["yaml", "json", "name"]), default="yaml", help="Default: yaml.")
@click.option(
    "--server", is_flag=True, help="Ask the cluster for templates that the files lack, and for the types of fields."
)
@click.option(
    "--set",
    "values",
    multiple=True,
    metavar="VARIABLE=VALUE",
    callback=_values,
    help="A value that only a run knows, such as flows.train.outputs.accuracy=0.9 or flows.web.podIP=10.0.0.1.",
)
@cluster_options
@click.pass_context
def command(
    context: click.Context,
    connection: Connection,
    paths: tuple[str, ...],
    named: tuple[str, ...],
    recursive: bool,
    parameters: dict[str, str],
    workflow_name: str,
    flows: tuple[str, ...],
    indexes: tuple[int, ...],
    attempt: int,
    output: str,
    server: bool,
    values: dict[str, str],
) -> None:
    """Print the job objects that the controller would make of Workflows and CronWorkflows in files.

    Nothing is sent anywhere, and without --server no cluster is asked. What only a run knows is in angle brackets:
    the uid of the Workflow, the addresses of pods, and outputs of other flows.
    """
    from pkg.views.lint import has_faults, is_unused, judged, read_objects
    from pkg.views.rendering import CannotRender, jobs_of

    if not paths and not named:
        raise click.UsageError("name a file, a folder, or - for what comes through a pipe")
    read = read_objects(read_files([*paths, *named], recursive=recursive), parameters)
    findings = [*read.findings, *judged(read)]
    if has_faults(findings):
        for finding in findings:
            click.echo(clean(str(finding)), err=True)
        raise Problem("nothing is rendered before these faults are corrected")
    for finding in findings:
        if is_unused(finding, parameters):
            click.echo(clean(str(finding)), err=True)
    failed = False
    first = True
    namespace = connection.namespace if server else connection.given_namespace
    for workflow, templates in _chosen(read, workflow_name, namespace):
        kinds = None
        if server:
            templates, kinds = _asked(connection, workflow, templates)
        try:
            jobs = jobs_of(
                workflow, templates, flows=flows, indexes=indexes, attempt=attempt, kinds=kinds, values=values
            )
        except CannotRender as error:
            raise Problem(f"{_title(workflow)}: {error}") from error
        for job in jobs:
            if job.fault:
                Problem(f"{_title(workflow)}, {job.title}: {job.fault}").show()
                failed = True
            else:
                click.echo(_shown(job, output, is_first=first), nl=False)
                first = first and not job.body
    context.exit(1 if failed else 0)


def _chosen(read: Read, name: str, namespace: str) -> Iterator[tuple[Workflow, dict[str, WorkTemplate]]]:
    """The Workflows to render, each with the templates of its namespace that are in the files."""
    from msgspec.structs import replace

    from pkg.views.convertible import convert_hint
    from pkg.views.cron_manifest import run_of

    there = [workflow for _, workflow in read.workflows.values()]
    named: list[Workflow | CronWorkflow] = [*there, *(cron for _, cron in read.crons.values())]
    found = [*there, *(run_of(cron) for _, cron in read.crons.values())]
    if name:
        found = [one for one, of in zip(found, named, strict=True) if of.metadata.name == name]
    if not found:
        listed = ", ".join(of.metadata.name or "(generated)" for of in named)
        raise Problem(
            f'no Workflow is named "{name}" in these files; there are {listed}'
            if listed
            else f"no Workflow and no CronWorkflow is in these files{convert_hint(read.other)}",
            WRONG_USAGE,
        )
    for workflow in found:
        own = workflow.metadata.namespace
        templates = {
            template.metadata.name: template
            for _, template in read.templates.values()
            if (template.metadata.namespace or namespace) == (own or namespace)
        }
        metadata = replace(workflow.metadata, namespace=own or namespace or "default")
        yield replace(workflow, metadata=metadata), templates


def _title(workflow: Workflow) -> str:
    from pkg.views.cron_manifest import is_run

    meta = workflow.metadata
    if is_run(workflow):
        return f"CronWorkflow {meta.generate_name.removesuffix('-')}"
    return f"Workflow {meta.name or meta.generate_name}"


def _asked(
    connection: Connection, workflow: Workflow, templates: Mapping[str, WorkTemplate]
) -> tuple[dict[str, WorkTemplate], dict[GVR, Kind]]:
    """The templates, with those that only the cluster has, and the kinds as the cluster serves them."""
    from pkg.apis.flow.v1alpha1.inline import inline_templates
    from pkg.views.served_kinds import served_kinds
    from pkg.views.templates import read_templates

    names = workflow.spec.template_names.keys()
    found = {**read_templates(connection.client, workflow.metadata.namespace, names - templates.keys()), **templates}
    used = [*found.values(), *inline_templates(workflow.metadata, workflow.spec).values()]
    served = served_kinds(connection.client, (template.spec.gvr.gvr for template in used))
    for gvr, kind in served.items():
        if kind is None:
            click.echo(f"warning: the cluster does not serve {gvr}; its jobs would wait until it does", err=True)
    return found, {gvr: kind for gvr, kind in served.items() if kind is not None}


def _shown(job: Job, output: str, *, is_first: bool) -> str:
    from msgspec import json

    from pkg.views.manifests.writing import as_yaml
    from pkg.views.rendering import is_unknown

    if job.is_approval:
        return f"# {job.title}: makes no job, a person approves or rejects it\n" if output == "yaml" else ""
    if job.deletes:
        return f"# {job.title}: deletes {job.gvr.group_resource}/{job.name}\n" if output == "yaml" else ""
    if output == "name":
        return f"{job.gvr.group_resource}/{job.name}\n"
    if output == "json":
        text = json.format(job.body, indent=2).decode()
        return f"{text}\n"
    text = as_yaml(job.tree())
    notes = [f"# {job.title}", *(f"# {note}" for note in job.notes)]
    if is_unknown(text):
        notes.append("# what is in angle brackets, only a run knows")
    return "\n".join(["---"] * (not is_first) + notes + [text])
