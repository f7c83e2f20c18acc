"""The command line of the local cluster: `python -m hack.cluster up|down|status|binaries|install-packages`."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

import click

from hack.cluster import binaries as programs
from hack.cluster.cluster import Cluster, Runtime
from hack.cluster.containers import packages
from hack.cluster.errors import ClusterError
from hack.cluster.processes import exit_on_sigterm

P = ParamSpec("P")
R = TypeVar("R")


def _said_plainly(command: Callable[P, R]) -> Callable[P, R]:
    """Prints a ClusterError as one line and exits 1. SIGTERM cleans up as Ctrl-C does."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with exit_on_sigterm():
            try:
                return command(*args, **kwargs)
            except ClusterError as error:
                raise click.ClickException(str(error)) from error
            except KeyboardInterrupt:
                click.echo("interrupted; run the same command again, a build of binaries continues", err=True)
                raise SystemExit(130) from None

    return run


_dir = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".cluster"),
    show_default=True,
    help="The cluster's folder.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """A real local Kubernetes control plane; docs/cluster.md describes it."""


@main.command()
@_dir
@click.option(
    "--runtime",
    type=click.Choice(["kwok", "containers"]),
    default="kwok",
    show_default=True,
    help="Simulated pods, or one real kubelet with real containers (root only).",
)
@click.option("--nodes", type=click.IntRange(1, 256), default=4, show_default=True, help="Number of simulated nodes.")
@click.option("--audit", is_flag=True, help="Write logs/audit.log: every API request.")
@click.option("--crds", type=click.Path(path_type=Path, exists=True), help="Folder of CRDs to install.")
@_said_plainly
def up(folder: Path, runtime: str, nodes: int, audit: bool, crds: Path | None) -> None:
    """Start a cluster. Its binaries are built first if they are not there.

    Does nothing if the cluster is up already. With --crds its CRDs are applied in either case.
    """
    started = time.monotonic()
    kind = cast("Runtime", runtime)
    if cluster := Cluster.already_up(folder, runtime=kind, nodes=nodes):
        click.echo(f"the cluster is already up: {cluster.server}, logs in {cluster.logs}")
    else:
        cluster = Cluster.start(folder, runtime=kind, nodes=nodes, audit=audit)
        seconds = time.monotonic() - started
        click.echo(f"the cluster is up after {seconds:.1f} s: {cluster.server}, logs in {cluster.logs}")
    if crds:
        cluster.install_crds(crds)
        click.echo(f"the CRDs of {crds} are installed")
    current = os.environ.get("KUBECONFIG", "")
    if current and Path(current).resolve() != cluster.kubeconfig:
        click.echo(f"KUBECONFIG is {current} here, so make and kubectl use that cluster until you change it")
    click.echo("to use it in a terminal:")
    click.echo(f"  export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
    if shutil.which("kubectl") is None:
        click.echo(f"  export PATH=$PATH:{shlex.quote(str(cluster.folder / 'bin'))}    # kubectl is there")


@main.command()
@_dir
@_said_plainly
def down(folder: Path) -> None:
    """Stop the cluster and keep its logs. Does nothing if none is up."""
    click.echo("the cluster is down" if Cluster.end_in(folder) else f"no cluster was up in {folder.resolve()}")


@main.command()
@_dir
@_said_plainly
def status(folder: Path) -> None:
    """Show the components; exit 1 unless all of them run and the API server is ready."""
    cluster = Cluster.attach(folder)
    running = {name: cluster.pids(name) for name in cluster.components}
    for name, pids in running.items():
        click.echo(f"{name:<26}{'pid ' + str(pids[0]) if pids else 'not running'}")
    is_ready = cluster.api().is_ready()
    click.echo(f"API server {cluster.server}: {'ready' if is_ready else 'not ready'}")
    if not is_ready or not all(running.values()):
        raise ClusterError(f"not everything runs: see {cluster.logs}, or start again with down and up")


@main.command()
@_said_plainly
def binaries() -> None:
    """Build the binaries if need be and print their folder."""
    click.echo(programs.ensure(kubelet=True))


@main.command("install-packages")
@_said_plainly
def install_packages() -> None:
    """Install the Debian or Ubuntu packages that --runtime containers needs (root)."""
    packages.install()


if __name__ == "__main__":
    main(prog_name="python -m hack.cluster")
