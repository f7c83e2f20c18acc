"""`python -m hack.bench` runs every benchmark at a modest size on one cluster; `python -m hack.bench NAME` runs one.

The API server's own rate is measured in the same run, so that figures of different machines can be compared.
"""

from __future__ import annotations

from collections.abc import Callable

import click

from hack.bench import chain, fair, late, manifests, many, passes, rules, size, spare, startup, takeover, webhook, wide
from hack.bench.jobs import cluster_with_jobs
from hack.cluster import Cluster


def _run(*parts: Callable[[Cluster], None]) -> None:
    with cluster_with_jobs() as cluster:
        for part in parts:
            part(cluster)


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure the controller on a real control plane; without a command, everything in some minutes."""
    if context.invoked_subcommand is None:
        _run(
            lambda cluster: chain.measure(cluster, length=10),
            lambda cluster: startup.measure(cluster, workflows=200),
            lambda cluster: late.measure(cluster, kinds=5),
            lambda cluster: many.measure(cluster, workflows=100),
            lambda cluster: wide.measure(cluster, replicas=500),
            lambda cluster: size.measure(cluster, tasks=2000),
        )


@main.command("chain")
@click.option("--length", default=10, show_default=True, help="Jobs in the chain.")
def chain_command(length: int) -> None:
    """A chain of batch Jobs: calls per task, and the time from one job's end to the next one's creation."""
    _run(lambda cluster: chain.measure(cluster, length=length))


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


@main.command("many")
@click.option("--workflows", default=200, show_default=True, help="Workflows of ten tasks.")
def many_command(workflows: int) -> None:
    """Tasks a second over many workflows."""
    _run(lambda cluster: many.measure(cluster, workflows=workflows))


@main.command("wide")
@click.option("--replicas", default=500, show_default=True, help="Replicas of the one flow.")
def wide_command(replicas: int) -> None:
    """One wide workflow, and a small one beside it."""
    _run(lambda cluster: wide.measure(cluster, replicas=replicas))


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
    found = []
    _run(lambda cluster: found.append(fair.measure(cluster, workflows=workflows, seconds=seconds)))
    if not all(found):
        raise click.ClickException(f"a small workflow was delayed by more than {fair.MAX_DELAY:.0f} s")


@main.command("spare")
@click.option("--tasks", default=50_000, show_default=True, help="Jobs that come and go.")
def spare_command(tasks: int) -> None:
    """Memory of a standby after many jobs have come and gone; minutes."""
    _run(lambda cluster: spare.measure(cluster, tasks=tasks))


@main.command("takeover")
@click.option("--workflows", default=2000, show_default=True, help="Workflows that run meanwhile.")
def takeover_command(workflows: int) -> None:
    """A takeover beside many workflows. Fails if the next leader reacts later than 1 s after it has the Lease."""
    found = []
    _run(lambda cluster: found.append(takeover.measure(cluster, workflows=workflows)))
    if not all(found):
        raise click.ClickException(
            f"the next leader reacted later than {takeover.MAX_SECONDS:g} s after it had the Lease"
        )


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
