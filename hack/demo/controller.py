"""The controller of the demo: a process of its own, ended with the demo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hack.cluster import Cluster
from hack.controller_process import NO_SERVERS, ControllerProcess

_END_SECONDS = 5.0


class DemoError(Exception):
    """The demo cannot go on; its text says what happened, where, and what to do."""


def check(controller: ControllerProcess) -> None:
    """Raises DemoError if the process has ended."""
    if not controller.is_alive:
        raise DemoError(
            f"the controller ended by itself with exit code {controller.exit_code}; the end of its log:\n"
            f"{controller.tail()}"
        )


@contextmanager
def running(cluster: Cluster, *, workers: int) -> Iterator[ControllerProcess]:
    """A controller on the cluster, stopped at the end of the block. It serves no port."""
    log = cluster.folder.parent / "controller.log"
    controller = ControllerProcess(cluster, log, f"--workers={workers}", *NO_SERVERS)
    try:
        yield controller
    finally:
        controller.stop(_END_SECONDS)
