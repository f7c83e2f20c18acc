"""Runs the demo: starts a cluster and a controller, applies the examples, shows them, and always removes everything."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
import msgspec
import yaml
from rich.console import Console

from hack.cluster import Cluster, ClusterError, binaries, exit_on_sigterm
from hack.controller_process import ControllerProcess
from hack.demo.changes import changes
from hack.demo.controller import DemoError, check, running
from hack.demo.reporters import Reporter, reporter_for
from hack.demo.screen import Happening, Result, table
from hack.demo.verdict import Expected, NoExpectation, differences, expected
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Workflow
from pkg.apis.meta import GVR
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.reflector_options import EventHandlers
from pkg.dashboard.options import options_of as dashboard_options
from pkg.dashboard.process import Dashboard
from pkg.kube.client import Client
from pkg.kube.config import load_config
from pkg.telemetry.health import BindError
from pkg.views.workflow_view import view

ROOT = Path(__file__).resolve().parents[2]
# The others need kinds that a bare cluster does not serve.
EXAMPLES = (
    *sorted((ROOT / "examples").glob("0*.yaml")),
    ROOT / "examples" / "items.yaml",
    ROOT / "examples" / "advanced.yaml",
)
WORKERS = 8
_FRAME_SECONDS = 0.1
# Time to look at the end of a round.
_BETWEEN_SECONDS = 5.0

Feed = queue.SimpleQueue[Delta[Workflow]]


def examples(files: Sequence[Path] = EXAMPLES) -> list[Workflow]:
    """The Workflows of the example files, in the order of the files."""
    return [
        msgspec.json.decode(msgspec.json.encode(document), type=Workflow)
        for path in files
        for document in yaml.safe_load_all(path.read_text("utf-8"))
        if document["kind"] == "Workflow"
    ]


@contextmanager
def exit_on_hangup() -> Iterator[None]:
    """Within the block a closed terminal raises SystemExit(129), so that the cluster is removed then, too."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(129)

    before = signal.signal(signal.SIGHUP, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@contextmanager
def watching(kubeconfig: Path) -> Iterator[Feed]:
    """A queue of every change of a Workflow in the cluster."""
    feed: Feed = queue.SimpleQueue()
    client = Client(load_config(str(kubeconfig)), user_agent="workflow-demo", pool_size=2)

    def put(_gvr: GVR, deltas: Sequence[Delta[Workflow]]) -> None:
        for delta in deltas:
            feed.put(delta)

    informers = InformerSet(client, None, Workflow, EventHandlers(put))
    informers.ensure(WORKFLOWS)
    try:
        yield feed
    finally:
        informers.stop()
        client.abort()
        informers.join(2.0)


def follow(
    workflows: dict[str, Workflow], feed: Feed, controller: ControllerProcess, reporter: Reporter, timeout: float
) -> float:
    """Shows the workflows until all have ended, or `timeout` seconds have passed; returns how long it took.

    `workflows` (by `namespace/name`) is kept up to date. Raises DemoError if the controller ends before.
    """
    began = time.monotonic()
    with reporter.live():
        while True:
            new = list(_drain(feed, workflows, began))
            now, seconds = time.time(), time.monotonic() - began
            reporter.show([view(workflow, now) for workflow in workflows.values()], new, seconds)
            has_ended = all(item.status.phase and item.status.phase.is_final for item in workflows.values())
            if has_ended or seconds > timeout:
                return seconds
            check(controller)


def _drain(feed: Feed, workflows: dict[str, Workflow], began: float) -> Iterator[Happening]:
    """Applies the changes that arrive within one frame; yields what happened."""
    until = time.monotonic() + _FRAME_SECONDS
    while True:
        try:
            delta = feed.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            return
        if delta.new is None or delta.key not in workflows:
            continue
        old, workflows[delta.key] = workflows[delta.key], delta.new
        at = time.monotonic() - began
        yield from (Happening(at, change) for change in changes(old, delta.new, time.time()))


@contextmanager
def live_page(kubeconfig: Path, console: Console, *, opens: bool) -> Iterator[None]:
    """The dashboard within the block: its address is printed, and opened where somebody sits in front of a browser."""
    config = load_config(str(kubeconfig))
    try:
        page = Dashboard(dashboard_options(), config)
        page.start()
    except BindError:  # another demo or dashboard has the usual port
        page = Dashboard(dashboard_options("--port=0"), config)
        page.start()
    console.print(f"see it run: [bold]{page.address}[/]", highlight=False)
    if opens:
        webbrowser.open(page.address)
    try:
        yield
    finally:
        page.stop()


def has_screen(env: Mapping[str, str] = os.environ) -> bool:
    """Whether a browser that is opened here is seen by somebody."""
    return sys.platform == "darwin" or bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))


def run(folder: Path, console: Console, timeout: float, *, loop: bool = False) -> bool:
    """The whole demo, with everything it writes under `folder`; True if every workflow ended as its example states.

    loop: afterwards the examples run again, until somebody interrupts it. Raises ClusterError or DemoError. Nothing is
    left running.
    """
    reporter = reporter_for(console)
    manifests = examples()
    wanted = [expected(workflow) for workflow in manifests]
    binaries.ensure()
    with reporter.step("a Kubernetes control plane of its own"):
        cluster = Cluster.start(folder / "cluster")
    with cluster:
        with reporter.step("the CRDs"):
            cluster.install_crds(ROOT / "installer" / "crds")
        with running(cluster, workers=WORKERS) as controller:
            with reporter.step(f"workflow-controller --workers={WORKERS}, and all {len(manifests)} examples"):
                cluster.kubectl("apply", *(f"--filename={path}" for path in EXAMPLES))
            with live_page(cluster.kubeconfig, console, opens=console.is_terminal and has_screen()):
                while True:
                    workflows = {workflow.metadata.key: workflow for workflow in manifests}
                    with watching(cluster.kubeconfig) as feed:
                        seconds = follow(workflows, feed, controller, reporter, timeout)
                    is_good = _close(console, list(workflows.values()), wanted, seconds, controller)
                    if not loop or not is_good:
                        return is_good
                    time.sleep(_BETWEEN_SECONDS)
                    with reporter.step("all examples again"):
                        cluster.kubectl("delete", "workflows", "--all", "--wait")
                        cluster.kubectl("apply", *(f"--filename={path}" for path in EXAMPLES))


def _close(
    console: Console, workflows: list[Workflow], wanted: list[Expected], seconds: float, controller: ControllerProcess
) -> bool:
    now = time.time()
    results = [
        Result(view(workflow, now), tuple(differences(workflow, want)))
        for workflow, want in zip(workflows, wanted, strict=True)
    ]
    console.print(table(results))
    good = sum(not result.differences for result in results)
    if good == len(results):
        console.print(f"[green]all {good} workflows ended as expected[/], in {seconds:.1f} s", highlight=False)
        return True
    console.print(
        f"[bold red]{len(results) - good} of {len(results)} workflows did not end as expected[/] (waited "
        f"{seconds:.0f} s); the end of the controller's log:",
        highlight=False,
    )
    console.print(controller.tail(), markup=False, highlight=False, soft_wrap=True)
    return False


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=120.0,
    show_default=True,
    help="Seconds in which the examples must have ended.",
)
@click.option("--loop", is_flag=True, help="Run them again and again, until it is interrupted.")
def main(timeout: float, loop: bool) -> None:
    """Run all examples on a cluster of their own; exit 0 only if every one ended as it states."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=120)
    folder = Path(tempfile.mkdtemp(prefix="workflow-demo-"))
    is_kept = True
    try:
        with exit_on_sigterm(), exit_on_hangup():
            is_good = run(folder, console, timeout, loop=loop)
        is_kept = not is_good
    except KeyboardInterrupt:
        is_kept = False
        console.print("interrupted; the controller and the cluster have been stopped")
        sys.exit(130)
    except (ClusterError, DemoError, NoExpectation) as error:
        console.print(f"demo: {error}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except SystemExit:
        is_kept = False
        raise
    finally:
        if is_kept and any(folder.iterdir()):
            console.print(f"the logs are in {folder}", highlight=False, soft_wrap=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main(prog_name="python -m hack.demo")
