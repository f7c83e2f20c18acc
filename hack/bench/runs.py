"""Runs a shape with the controller and with the floor, in turn, on one control plane."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from hack.bench import harness
from hack.bench.floor import AGENT, CONNECTIONS
from hack.bench.samples import BARE, FLOOR, OURS, Sample
from hack.bench.shapes import SHAPES, Shape, template
from hack.bench.world import World
from hack.cluster import Cluster, audit_log
from hack.controller_process import NO_SERVERS, ControllerProcess

SETTLE_SECONDS = 12.0
"""After the end of the workflows: what is written late counts too, and the last seconds show what idling costs."""
_IDLE_SECONDS = 4.0
_PATIENCE = 240.0
_numbers = count(1)


class FloorProcess(ControllerProcess):
    """The floor as a process, in place of a controller."""

    def command_line(self, kubeconfig: Path, flags: Sequence[str], root: Path) -> list[str]:
        return [sys.executable, "-m", "hack.bench.floor", f"--kubeconfig={kubeconfig}", *flags]


def measure(cluster: Cluster, shape: Shape, rounds: int, flags: Sequence[str] = ()) -> Iterator[Sample]:
    """Bare creations once, then the rounds: controller and floor in alternating order. flags: of the controller."""
    if shape.name == "fans":
        yield measure_one(cluster, shape, BARE, 0, flags)
    for number in range(rounds):
        sides = (OURS, FLOOR) if number % 2 == 0 else (FLOOR, OURS)
        for side in sides:
            yield measure_one(cluster, shape, side, number, flags)
    if shape.name == "fans":
        yield measure_one(cluster, shape, BARE, 1, flags)


def measure_one(
    cluster: Cluster,
    shape: Shape,
    side: str,
    number: int,
    flags: Sequence[str] = (),
    *,
    via: Path | None = None,
    connections: int = CONNECTIONS,
) -> Sample:
    """One run of one side. via: kubeconfig by which it reaches the API server, if not the cluster's; connections: calls
    that the floor has in flight at most.
    """
    namespace = f"{shape.name}-{side}-{next(_numbers)}"
    cluster.api().request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    world = World(str(cluster.kubeconfig), namespace, shape)
    try:
        names = {shape.template_name(flow) for flow in shape.flows}
        world.create_templates(template(shape.kind, name) for name in sorted(names))
        own = flags if side == OURS else (f"--connections={connections}",)
        process = _start(cluster, shape, side, namespace, own, via)
        try:
            return _run(cluster, shape, side, number, world, process)
        finally:
            process.stop()
    finally:
        world.close()


def _start(
    cluster: Cluster, shape: Shape, side: str, namespace: str, flags: Sequence[str], via: Path | None
) -> ControllerProcess:
    log = cluster.folder / f"{namespace}.log"
    process: ControllerProcess
    if side == OURS:
        own = ("--workers=8", "--leader-elect=false", "--exclusive=false", *NO_SERVERS, f"--namespace={namespace}")
        process = ControllerProcess(cluster, log, *own, *flags, kubeconfig=via)
    else:
        own = (f"--namespace={namespace}", f"--shape={shape.name}", *(("--bare",) if side == BARE else ()))
        process = FloorProcess(cluster, log, *own, *flags, kubeconfig=via, env={"PYTHONPATH": str(harness.ROOT)})
    try:
        process.wait_acting()
    except RuntimeError as error:
        process.kill()
        raise SystemExit(str(error)) from error
    return process


def _run(cluster: Cluster, shape: Shape, side: str, number: int, world: World, process: ControllerProcess) -> Sample:
    # Templates get a usedBy of 0 workflows some seconds after a start; that is no call of the workflows.
    time.sleep(1.0)
    offset, cpu, began = audit_log.size(cluster.audit_log), process.cpu_seconds(), time.perf_counter()
    names = [f"w{at:03d}" for at in range(shape.workflows)]
    run = world.run_bare if side == BARE else world.run
    run(names, _PATIENCE)
    time.sleep(1.0 if side != OURS else SETTLE_SECONDS - _IDLE_SECONDS)
    before, since = process.cpu_seconds(), time.perf_counter()
    if side == OURS:
        time.sleep(_IDLE_SECONDS)
    after = process.cpu_seconds()
    idle = (after - before) / (time.perf_counter() - since) if side == OURS else 0.0
    used = after - cpu - idle * (time.perf_counter() - began)
    if side != BARE and (wrong := {name for name, phase in world.phases.items() if phase != "Succeeded"}):
        raise SystemExit(f"{shape.name}: workflows that did not succeed: {', '.join(sorted(wrong))}")
    ends = world.complete.values() if side == BARE else world.ended.values()
    agent = AGENT if side != OURS else harness.AGENT
    return Sample(
        shape=shape.name,
        side=side,
        round=number,
        tasks=shape.tasks,
        seconds=max(ends) - min(world.submitted.values()),
        reactions=tuple(_reactions(world, shape)) if side != BARE else (),
        lags=tuple(_lags(world)),
        calls={" ".join(call): times for call, times in harness.calls(cluster.audit_log, agent, offset).items()},
        cpu=used,
        idle_cpu=idle,
        rss=process.peak_mib(),
        status_bytes=world.status_bytes,
        last_status=world.last_status,
    )


def _reactions(world: World, shape: Shape) -> Iterator[float]:
    """Milliseconds from the last complete target to the job that waited for it."""
    for (workflow, flow), made in world.made.items():
        targets = shape.flows[flow]
        if targets:
            yield 1000 * (made - max(world.complete[workflow, target] for target in targets))


def _lags(world: World) -> Iterator[float]:
    """Milliseconds from the last complete job of a workflow to its end."""
    last: dict[str, float] = {}
    for (workflow, _), at in world.complete.items():
        last[workflow] = max(last.get(workflow, 0.0), at)
    for workflow, ended in world.ended.items():
        yield 1000 * (ended - last[workflow])


def named(names: Sequence[str]) -> list[Shape]:
    """The shapes of these names, all without names. SystemExit for an unknown one."""
    if unknown := [name for name in names if name not in SHAPES]:
        raise SystemExit(f"no shape {', '.join(unknown)}; there are {', '.join(SHAPES)}")
    return [SHAPES[name] for name in names or SHAPES]
