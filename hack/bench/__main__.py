"""`python -m hack.bench` measures every shape beside the floor client; `python -m hack.bench NAME` runs one part.

The floor and the API server's own rate are measured in the same run, so that figures of different machines can be
compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from hack.bench import (
    cli,
    core,
    crons,
    dashboard,
    fair,
    growth,
    harness,
    items,
    late,
    locks,
    manifests,
    passes,
    queued,
    report,
    rules,
    runs,
    scale,
    size,
    slow,
    soak,
    spare,
    startup,
    takeover,
    webhook,
    wide,
)
from hack.bench.jobs import cluster_with_jobs
from hack.bench.samples import Sample
from hack.bench.shapes import SHAPES
from hack.cluster import Cluster
from hack.controller_process import CHECKOUT
from pkg.version import build


def _run(*parts: Callable[[Cluster], None]) -> None:
    with cluster_with_jobs() as cluster:
        for part in parts:
            part(cluster)


def _run_bounded(part: Callable[[Cluster], bool], fault: str) -> None:
    """Runs a part that says whether it has met its bounds. Raises ClickException with the fault if it has not."""
    with cluster_with_jobs() as cluster:
        is_met = part(cluster)
    if not is_met:
        raise click.ClickException(fault)


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure the controller on a real control plane; without a command, every shape and part that has a bound."""
    click.echo(f"the core is {build()}, that of the controller {build(CHECKOUT / 'pkg')}")
    if context.invoked_subcommand is None:
        found = core.measure((10_000, 100_000))
        _judge(_shapes(tuple(SHAPES), rounds=3, flags=()), found, "all")


def _shapes(names: tuple[str, ...], rounds: int, flags: tuple[str, ...]) -> list[Sample]:
    """The samples of these shapes. Shows how far it is."""
    chosen, found = runs.named(names), list[Sample]()
    with cluster_with_jobs() as cluster:
        for shape in chosen:
            for sample in runs.measure(cluster, shape, rounds, flags):
                found.append(sample)
                print(
                    f"{shape.name} round {sample.round}, {sample.side}: {sample.rate:.0f} tasks/s, "
                    f"{sample.calls_per_task:.2f} calls and {sample.cpu_per_task:.2f} ms of CPU per task",
                    flush=True,
                )
    return found


def _judge(samples: Sequence[Sample], parts: Mapping[str, float], name: str) -> None:
    """Shows and keeps what was found."""
    report.show(samples, parts)
    print(f"kept in {report.keep(samples, parts, name)}")


@main.command("shapes")
@click.argument("names", nargs=-1)
@click.option("--rounds", default=3, show_default=True, help="Runs of controller and floor each, in turn.")
@click.option("--flag", "flags", multiple=True, help="A flag of the controller, such as --workers=16.")
def shapes_command(names: tuple[str, ...], rounds: int, flags: tuple[str, ...]) -> None:
    """Shapes of workflows beside the floor client: rate, reaction, calls, CPU and memory, with the bounds. NAMES: which
    shapes; a minute or two each.
    """
    _judge(_shapes(names, rounds, flags), {}, "-".join(names) or "shapes")


@main.command("core")
@click.option("--tasks", "sizes", multiple=True, type=int, default=(10_000, 100_000), show_default=True)
@click.option("--at-once", default=core.AT_ONCE, show_default=True, help="So many workflows run at a time.")
@click.option("--profile", "profiled", default=0, help="Also print where the time of so many tasks goes.")
def core_command(sizes: tuple[int, ...], at_once: int, profiled: int) -> None:
    """The pure core alone: CPU per task; needs no cluster."""
    _judge((), core.measure(sizes, at_once=at_once, profiled=profiled), "core")


@main.command("scale")
@click.option("--share", default=0.1, show_default=True, help="Of 10,000 ended and 2,000 running workflows; 1 for all.")
def scale_command(share: float) -> None:
    """Memory, restart and idling beside many workflows. The bounds are judged for all of them, which takes long."""
    found: dict[str, float] = {}
    with cluster_with_jobs() as cluster:
        found = scale.measure(cluster, share=share)
    _judge((), found, "scale")


@main.command("slow")
@click.option("--rounds", default=1, show_default=True, help="Runs of controller and floor each.")
def slow_command(rounds: int) -> None:
    """An API server that takes 20 ms longer, one that refuses calls with 429, and one that queues them. Fails if the
    Lease is lost.
    """
    with cluster_with_jobs() as cluster:
        found = slow.measure(cluster, rounds=rounds)
    with cluster_with_jobs(queued.FLAGS) as cluster:
        found |= queued.measure(cluster, rounds=rounds)
    _judge((), found, "slow")


@main.command("soak")
@click.option("--seconds", default=60.0, show_default=True, help="For how long workflows come; 3600 for the long form.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the memory over time into this SVG file.")
def soak_command(seconds: float, plot: Path | None) -> None:
    """20 workflows a second come and go: growth of memory."""
    with cluster_with_jobs() as cluster:
        found = soak.measure(cluster, seconds=seconds, plot=plot)
    _judge((), found, "soak")


@main.command("growth")
@click.argument("folder", type=click.Path(path_type=Path))
def growth_command(folder: Path) -> None:
    """Draws growth with tasks (pure core), workflows and workers (chains) into SVG files in FOLDER; minutes."""
    growth.tasks(folder)
    with cluster_with_jobs() as cluster:
        growth.workflows(cluster, folder)
        growth.workers(cluster, folder)


@main.command("bounds")
@click.argument("files", nargs=-1, required=True)
def bounds_command(files: tuple[str, ...]) -> None:
    """All figures and bounds of kept reports, with their rounds pooled."""
    pooled = report.read(files)
    report.show(pooled.samples, pooled.parts)


@main.command("compare")
@click.argument("before")
@click.argument("after")
def compare_command(before: str, after: str) -> None:
    """Two kept reports side by side."""
    report.compare(report.read([before]), report.read([after]))


@main.command("startup")
@click.option("--workflows", default=500, show_default=True, help="Workflows that are there already.")
def startup_command(workflows: int) -> None:
    """Seconds from the start of a controller until it acts, and from SIGTERM to its end."""
    _run(lambda cluster: startup.measure(cluster, workflows=workflows))


@main.command("late")
@click.option("--kinds", default=10, show_default=True, help="Custom resources that come after their workflows.")
def late_command(kinds: int) -> None:
    """Time from a CRD that is Established to the job that waited for it."""
    _run(lambda cluster: late.measure(cluster, kinds=kinds))


@main.command("wide")
@click.option("--replicas", default=500, show_default=True, help="Replicas of the one flow.")
def wide_command(replicas: int) -> None:
    """One wide workflow, and a small one beside it."""
    _run(lambda cluster: wide.measure(cluster, replicas=replicas))


@main.command("items")
@click.option("--items", "count", default=9_998, show_default=True, help="Items that a job hands out.")
def items_command(count: int) -> None:
    """One workflow with a task for each item of a list that a run found. Fails if a task is missing or doubled."""
    _run_bounded(lambda cluster: items.measure(cluster, items=count), "not every item became one task that succeeded")


@main.command("locks")
@click.option("--workflows", default=1000, show_default=True, help="Workflows of one task at one mutex.")
@click.option("--seconds", default=270.0, show_default=True, help="How long they may take.")
def locks_command(workflows: int, seconds: float) -> None:
    """Many workflows at one mutex. Fails if an acquisition costs more than it should."""
    _run_bounded(
        lambda cluster: locks.measure(cluster, workflows=workflows, seconds=seconds),
        "calls for Leases or reconciles are above their bounds",
    )


@main.command("crons")
@click.option("--crons", "count", default=10_000, show_default=True, help="CronWorkflows, all due at one moment.")
def crons_command(count: int) -> None:
    """Many CronWorkflows: memory and CPU while none is due, and how late runs are that are due at once. Fails above its
    bounds.
    """
    _run_bounded(lambda cluster: crons.measure(cluster, crons=count), "memory, CPU or lateness is above its bound")


@main.command("size")
@click.option("--tasks", default=5000, show_default=True, help="Tasks of the one workflow.")
def size_command(tasks: int) -> None:
    """One workflow with very many tasks, in three shapes."""
    _run(lambda cluster: size.measure(cluster, tasks=tasks))


@main.command("fair")
@click.option("--workflows", default=1000, show_default=True, help="Workflows of 50 tasks in the other namespace.")
@click.option("--seconds", default=100.0, show_default=True, help="For how long chains are run beside them.")
def fair_command(workflows: int, seconds: float) -> None:
    """Small workflows beside a crowd in another namespace. Fails if one is delayed by more than 2 s."""
    _run_bounded(
        lambda cluster: fair.measure(cluster, workflows=workflows, seconds=seconds),
        f"a small workflow was delayed by more than {fair.MAX_DELAY:.0f} s",
    )


@main.command("spare")
@click.option("--tasks", default=50_000, show_default=True, help="Jobs that come and go.")
def spare_command(tasks: int) -> None:
    """Memory of a standby after many jobs have come and gone; minutes."""
    _run(lambda cluster: spare.measure(cluster, tasks=tasks))


@main.command("takeover")
@click.option("--workflows", default=2000, show_default=True, help="Workflows that run meanwhile.")
def takeover_command(workflows: int) -> None:
    """A takeover beside many workflows. Fails if the next leader reacts later than 1 s after it has the Lease."""
    _run_bounded(
        lambda cluster: takeover.measure(cluster, workflows=workflows),
        f"the next leader reacted later than {takeover.MAX_SECONDS:g} s after it had the Lease",
    )


@main.command("cli")
@click.option("--workflows", default=5_000, show_default=True, help="Workflows of the namespace, of ten flows each.")
@click.option("--flows", default=5_000, show_default=True, help="Flows of one more Workflow.")
@click.option("--events", default=10_000, show_default=True, help="Events of the namespace.")
def cli_command(workflows: int, flows: int, events: int) -> None:
    """Each verb of kubectl workflow beside many Workflows. Fails if one takes longer than 1 s, or its start 0.3 s."""
    with harness.cluster_with_crds(audit=False) as cluster:
        if not cli.measure(cluster, workflows=workflows, flows=flows, events=events):
            raise click.ClickException("a verb takes longer than its bound")


@main.command("dashboard")
def dashboard_command() -> None:
    """200 viewers of one Workflow, one of them stalled. Fails if an update reaches them later than its bound."""
    with harness.cluster_with_crds(audit=False) as cluster:
        if not dashboard.measure(cluster):
            raise click.ClickException(f"an update reached a viewer later than {dashboard.MAX_DELAY * 1000:.0f} ms")


@main.command("page")
def page_command() -> None:
    """The live page in Chromium: CPU of a frame with 500 and 5,000 tasks, and its list of 5,000 Workflows."""
    from hack.bench import page

    with harness.cluster_with_crds(audit=False) as cluster:
        if not page.measure(cluster):
            raise click.ClickException("a frame or the first paint costs more than its bound")


@main.command("manifests")
def manifests_command() -> None:
    """The largest manifests; needs no cluster. Fails above 2 s to judge one, or 4 MiB to keep one."""
    if not manifests.measure():
        raise click.ClickException("a manifest costs more than the bound")


@main.command("passes")
def passes_command() -> None:
    """The longest passes over the largest workflows; needs no cluster. Fails above 100 ms of CPU for one pass."""
    if not passes.measure():
        raise click.ClickException(f"a pass takes more than {passes.MAX_MS:.0f} ms of CPU")


@main.command("webhook")
def webhook_command() -> None:
    """One review of the webhook; needs no cluster. Fails above 10 ms of CPU for 100 flows, 150 ms for 5,000."""
    if not webhook.measure():
        raise click.ClickException("a review takes more than its bound")


@main.command("rules")
def rules_command() -> None:
    """The costliest status rules that are admitted; needs no cluster. Fails above 20 ms or 16 MiB for one job."""
    if not rules.measure():
        raise click.ClickException("a rule that is admitted is above the bound")


if __name__ == "__main__":
    main()
