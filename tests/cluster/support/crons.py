"""CronWorkflows on the test cluster, and a controller whose schedules go by a clock that the test moves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from hack.cluster import Cluster
from hack.controller_process import NO_SERVERS
from hack.moved_clock import VARIABLE, MovedClock
from tests.cluster.support.controller import Controller
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import API
from tests.cluster.support.world import World

RESOURCE = "cronworkflows"


def at(text: str) -> int:
    """Seconds since the epoch."""
    return int(datetime.fromisoformat(text).timestamp())


def run_name(cron: str, time: str) -> str:
    """The name of the run of a scheduled time, as the contract has it: the minute since the epoch."""
    return f"{cron}-{at(time) // 60}"


def cron(name: str, *schedules: str, flows: Sequence[Object], **spec: Any) -> Object:
    """A CronWorkflow whose runs have these flows; other keywords are fields of its spec.

    workflow: fields of the spec of a run; template: fields of workflowTemplate.
    """
    run = {"flows": list(flows), **spec.pop("workflow", {})}
    template = {"spec": run, **spec.pop("template", {})}
    return {
        "apiVersion": API,
        "kind": "CronWorkflow",
        "metadata": {"name": name},
        "spec": {"schedules": list(schedules), "workflowTemplate": template, **spec},
    }


class MovedController(Controller):
    """A controller that reads the clock of a file."""

    def command_line(self, kubeconfig: Path, flags: Sequence[str], root: Path) -> list[str]:
        return [sys.executable, str(root / "hack" / "moved_clock.py"), f"--kubeconfig={kubeconfig}", *flags]


class CronWorld:
    """A namespace with CronWorkflows, a clock, and controllers that go by it."""

    def __init__(self, cluster: Cluster, world: World, folder: Path) -> None:
        self.cluster = cluster
        self.world = world
        self.folder = folder
        self.clock_file = folder / "clock"
        self.clock = MovedClock(self.clock_file)
        self.controllers: list[MovedController] = []
        world.follow(f"apis/{API}/{RESOURCE}")

    def set_clock(self, time: str) -> None:
        """The clock shows this time now, and goes on."""
        self.clock.move_to(at(time))

    def start(self, *flags: str, acting: bool = True) -> MovedController:
        """Starts a controller of this namespace."""
        namespace = self.world.namespace
        own = [f"--namespace={namespace}", f"--leader-elect-resource-namespace={namespace}", "--workers=4"]
        log = self.folder / f"cron-controller-{len(self.controllers)}.log"
        made = MovedController(self.cluster, log, *own, *NO_SERVERS, *flags, env={VARIABLE: str(self.clock_file)})
        self.controllers.append(made)
        if acting:
            made.wait_acting()
        return made

    def create(self, manifest: Object, since: str) -> None:
        """Makes a CronWorkflow whose status says that its last run was at this time: nothing before it is due."""
        self.world.create(manifest)
        path = self.path(manifest["metadata"]["name"])
        self.world.patch(f"{path}/status", {"status": {"lastScheduleTime": since}})

    def path(self, name: str) -> str:
        return f"/apis/{API}/namespaces/{self.world.namespace}/{RESOURCE}/{name}"

    def status(self, name: str) -> Object:
        """The status as last seen; empty if there is none."""
        found = self.world.history.get(RESOURCE, name)
        return dict(found.get("status") or {}) if found else {}

    def runs(self) -> dict[str, Object]:
        """The Workflows that exist, by name."""
        return {found["metadata"]["name"]: found for found in self.world.history.now("workflows")}

    def made(self) -> dict[str, set[str]]:
        """The uids of all Workflows ever seen, by name."""
        found: dict[str, set[str]] = {}
        for seen in self.world.history.sightings("workflows"):
            meta = seen.object["metadata"]
            found.setdefault(meta["name"], set()).add(meta["uid"])
        return found

    def wait(self, fact: Callable[[], Any], what: str, seconds: float = 60.0) -> None:
        self.world.history.wait(
            lambda: bool(fact()),
            seconds,
            lambda: (
                f"{what}; runs: {sorted(self.made())}; statuses: "
                + str([found.get("status") for found in self.world.history.now(RESOURCE)])
            ),
        )

    def wait_run(self, name: str) -> Object:
        """A run once it exists."""
        self.wait(lambda: name in self.runs(), f"the run {name}")
        return self.runs()[name]

    def wait_status(self, name: str, **fields: Any) -> Object:
        """The status once these fields have these values; None: not there."""
        self.wait(
            lambda: all(self.status(name).get(key) == value for key, value in fields.items()),
            f"{fields} in the status of {name}",
        )
        return self.status(name)

    def events(self, name: str) -> list[tuple[str, str]]:
        """Reason and message of the Events of a CronWorkflow."""
        path = f"/api/v1/namespaces/{self.world.namespace}/events?fieldSelector=involvedObject.name={name}"
        return [(item["reason"], item["message"]) for item in self.world.api.get(path)["items"]]

    def wait_event(self, name: str, reason: str) -> str:
        """The message of an Event once it is there."""
        self.wait(lambda: any(found == reason for found, _ in self.events(name)), f"the Event {reason}")
        return next(message for found, message in self.events(name) if found == reason)

    def close(self) -> None:
        for controller in self.controllers:
            controller.close()
        for controller in self.controllers:
            print(f"---- {controller.log_file.name}")
            print(controller.log_file.read_text(errors="replace")[-20_000:])


@contextmanager
def cron_world(cluster: Cluster, world: World, folder: Path) -> Iterator[CronWorld]:
    """A CronWorld whose controllers are ended afterwards, and their logs printed (pytest shows them on failure)."""
    made = CronWorld(cluster, world, folder)
    try:
        yield made
    finally:
        made.close()
