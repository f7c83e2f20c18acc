"""`plan`: a dry run of a manifest with the planner of the controller."""

from __future__ import annotations

import json

import click

from pkg.cli.output import clean, echo, screen
from pkg.cli.problems import Problem

#: Columns of the timeline where the output is no terminal.
_PIPED = 120


@click.command("plan", short_help="Run a Workflow dry: order, parallelism and duration of its jobs.")
@click.argument("name", required=False, default="")
@click.option("-f", "--filename", "paths", multiple=True, required=True, metavar="FILE", help="The manifests.")
@click.option(
    "-d",
    "--duration",
    "durations",
    multiple=True,
    metavar="FLOW[/INDEX]=5m",
    help="How long its jobs take; a service needs so long to be ready.",
)
@click.option("--default-duration", default="1m", show_default=True, metavar="DURATION", help="How long others take.")
@click.option(
    "--fail",
    "failures",
    multiple=True,
    metavar="FLOW[/INDEX][:TIMES]",
    help="Its attempts fail: all, or the first ones.",
)
@click.option(
    "--probe",
    "probes",
    multiple=True,
    metavar="FLOW[/INDEX]=30s",
    help="When its pods answer probes after the start of their job, or `never`. Default: at once.",
)
@click.option(
    "--output-value", "outputs", multiple=True, metavar="FLOW.NAME=VALUE", help="The value of an output of its tasks."
)
@click.option(
    "--semaphore",
    "semaphores",
    multiple=True,
    metavar="CONFIGMAP/KEY=N",
    help="How many places it has. Default: as a ConfigMap in the files says, else one.",
)
@click.option("--max-parallel", type=click.IntRange(1), metavar="N", help="In place of spec.parallelism: jobs at once.")
@click.option("--attempts", "each", is_flag=True, help="A row for each attempt instead of one for each flow.")
@click.option("--all", "everything", is_flag=True, help="Show all rows, also of a large Workflow.")
@click.option("-o", "--output", "form", type=click.Choice(["text", "json"]), default="text", help="Format.")
def command(
    name: str,
    paths: tuple[str, ...],
    durations: tuple[str, ...],
    default_duration: str,
    failures: tuple[str, ...],
    probes: tuple[str, ...],
    outputs: tuple[str, ...],
    semaphores: tuple[str, ...],
    max_parallel: int | None,
    each: bool,
    everything: bool,
    form: str,
) -> None:
    """Run a Workflow dry: in which order and how parallel its jobs run, how long that takes, and what decides it.

    The controller's own planner runs with simulated jobs, without a cluster. Retries, timeouts, probes, parallelism,
    locks, failure branches and finally flows are those of the controller. A CronWorkflow stands for a run of it. Exits
    0 whatever the outcome of the Workflow is.
    """
    from msgspec.structs import replace

    from pkg.apis.flow.v1alpha1.raw import RawError
    from pkg.apis.flow.v1alpha1.types import MAX_TASKS
    from pkg.cli.one_manifest import read_one_manifest
    from pkg.views.dry_run.assumptions import AssumptionError, read_assumptions, unknown_targets
    from pkg.views.dry_run.outcome import outcome
    from pkg.views.dry_run.simulate import CannotRun, simulate
    from pkg.views.dry_run.timeline import timeline

    try:
        assumptions = read_assumptions(default_duration, durations, failures, probes, outputs, semaphores)
    except AssumptionError as error:
        raise click.UsageError(str(error)) from error
    workflow, templates, config_maps, _ = read_one_manifest(paths, name)
    # Of a list that only a run knows any index may be meant.
    sizes = {flow.name: MAX_TASKS if flow.items_from else max(1, flow.replicas) for flow in workflow.spec.flows}
    if wrong := unknown_targets(assumptions, sizes):
        raise Problem(wrong[0])
    for flow, output in assumptions.unused_outputs(workflow.spec.flows):
        click.echo(
            clean(f'warning: --output-value: flow {flow} has no output "{output}", so nothing uses it'), err=True
        )
    if max_parallel is not None:
        workflow = replace(workflow, spec=replace(workflow.spec, parallelism=max_parallel))
    try:
        found = outcome(simulate(workflow, templates, assumptions, config_maps))
    except AssumptionError as error:
        raise Problem(str(error)) from error
    except (CannotRun, RawError) as error:
        first, *more = str(error).splitlines()
        raise Problem(
            f"{first}{f' (and {len(more)} more)' if more else ''}; kubectl workflow lint shows where"
        ) from error
    if form == "json":
        click.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        echo(map(clean, timeline(found, screen().width or _PIPED, each=each, everything=everything)))
