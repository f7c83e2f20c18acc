"""`python -m hack.faults` injects every fault on a cluster of its own and prints a table of the results."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from hack.bench import harness
from hack.cluster import Cluster
from hack.faults import connections, etcd, load, scenarios, takeover, tenants, upgrade
from hack.faults.judge import Verdict

Fault = Callable[[Cluster, Path], Verdict]
TENANTS = "tenants"


def faults(count: int, seconds: float, times: int) -> dict[str, Fault]:
    """All faults by name, on `count` workflows. `seconds`: the length of those faults that have no end of their own;
    `times`: takeovers of each kind.
    """
    return {
        "storm": partial(scenarios.kill_storm, count=count, seconds=seconds),
        "election": partial(scenarios.election_storm, count=count, kills=4),
        "server": partial(scenarios.api_server_killed, count=count),
        "etcd": partial(etcd.etcd_outages, count=count, times=8),
        "proxy": partial(scenarios.lying_proxy, count=count, seconds=seconds),
        "deletion": partial(scenarios.deletion_in_storm, count=count),
        "certificates": partial(connections.rotating_certificates, count=count, seconds=seconds),
        "plugin": partial(connections.slow_plugin, count=count, seconds=seconds),
        "addresses": partial(connections.silent_address, count=count, seconds=seconds),
        **{
            f"takeover-{kind}": partial(takeover.takeovers, kind=kind, count=count, times=times)
            for kind in takeover.BOUNDS
        },
        "upgrade": partial(upgrade.rolling_upgrade, count=count),
        "back": partial(upgrade.there_and_back, count=count),
    }


def table(verdicts: list[Verdict]) -> Table:
    """The table that is printed at the end."""
    made = Table(title=f"{load.TASKS} jobs in each workflow")
    made.add_column("fault", overflow="fold")
    for heading in ("workflows", "jobs", "lost", "attempts with two jobs", "not ended", "wrong"):
        made.add_column(heading, justify="right")
    made.add_column("recovery: first write, all ended")
    made.add_column("what happened", overflow="fold")
    for row in verdicts:
        bad = [len(row.lost), len(row.twice), len(row.not_ended), len(row.wrong)]
        made.add_row(
            row.fault,
            str(row.workflows),
            str(row.jobs),
            *(f"[red]{number}[/]" if number else "0" for number in bad),
            f"{_seconds(row.first_write)}, {_seconds(row.recovered)}",
            row.what,
        )
    return made


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


@click.command()
@click.option("--workflows", "count", default=200, show_default=True, help="Workflows per fault, of ten tasks each.")
@click.option("--seconds", default=90.0, show_default=True, help="Longest time of kill storm and lying proxy.")
@click.option("--takeovers", "times", default=20, show_default=True, help="`takeover-*`: so many takeovers.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(tenants.ALL), help="`tenants`: a hostile kind alone.")
@click.option("--manifests", default=10, show_default=True, help="`tenants`: manifests of each hostile kind.")
@click.argument("only", nargs=-1, type=click.Choice([*faults(1, 1, 1), TENANTS]))
def main(count: int, seconds: float, times: int, kinds: tuple[str, ...], manifests: int, only: tuple[str, ...]) -> None:
    """Inject faults (all, or those named) and print what was lost; exit 1 if anything was lost or wrong."""
    console = Console(width=None if Console().is_terminal else 160)
    # Kept after a failure, so that logs can be read.
    folder = Path(tempfile.mkdtemp(prefix="workflow-faults-"))
    verdicts = []
    chosen = {name: run for name, run in faults(count, seconds, times).items() if not only or name in only}
    for verdict in itertools.chain(
        _run(chosen, folder) if chosen else (),
        tenants.tenants(folder, kinds, count=manifests) if not only or TENANTS in only else (),
    ):
        verdicts.append(verdict)
        state = "clean" if verdict.is_clean else "NOT CLEAN"
        console.print(f"{verdict.fault}: {state}; {verdict.what}")
        if not verdict.is_clean:
            console.print(verdict.faults(), markup=False)
    console.print(table(verdicts))
    if not all(verdict.is_clean for verdict in verdicts):
        console.print(f"the controllers' logs are in {folder}")
        raise SystemExit(1)
    shutil.rmtree(folder, ignore_errors=True)


def _run(chosen: dict[str, Fault], folder: Path) -> Iterator[Verdict]:
    """The faults on one cluster."""
    with harness.cluster_with_crds() as cluster:
        harness.install_crd(cluster.api(), load.CRD)
        for run in chosen.values():
            yield run(cluster, folder)


if __name__ == "__main__":
    main()
