"""workflow-controller as a process of its own, as a user runs it: its flags, signals, exit code and log."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hack.cluster import Cluster
from hack.cluster.processes import member_environ

ROOT = Path(__file__).resolve().parents[3]
LAUNCHER = ROOT / "cmd" / "workflow-controller" / "main.py"
OFF = ("--metrics-bind-address=0", "--health-bind-address=0")
_LOOK = 0.01
PATIENCE = 60.0


def command(*flags: str) -> list[str]:
    """The command line of a controller of this working tree."""
    return [sys.executable, str(LAUNCHER), *flags]


def free_port() -> int:
    """A port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Controller:
    """One process. Its log (JSON lines) is in a file, so that nothing blocks it and a killed one can still be read."""

    def __init__(self, cluster: Cluster, kubeconfig: Path, log: Path, *flags: str) -> None:
        self.log_file = log
        self.flags = flags
        # Marked as a process of the cluster, so that it ends with it, whatever becomes of the tests.
        environ = member_environ(cluster.folder, os.environ)
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command(f"--kubeconfig={kubeconfig}", *flags),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environ,
                cwd=log.parent,
            )

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def log(self) -> list[dict[str, Any]]:
        """What it logged so far; a line that is no JSON comes as {"event": line}."""
        return [_parse(line) for line in self.log_file.read_text(errors="replace").splitlines() if line.strip()]

    def has_logged(self, event: str, **keys: Any) -> bool:
        """Whether a line with that text and these keys was logged."""
        wanted = {"event": event, **keys}
        return any(wanted.items() <= line.items() for line in self.log())

    def wait_log(self, event: str, seconds: float = PATIENCE, **keys: Any) -> float:
        """Seconds until such a line is there; fails the test if none comes, or the process ends before."""
        return self.wait(lambda: self.has_logged(event, **keys), seconds, f"the log line {event!r} {keys or ''}")

    def wait(self, fact: Callable[[], bool], seconds: float, what: str) -> float:
        """Seconds until the fact holds; fails the test if it does not, or the process ends before."""
        began = time.monotonic()
        while not fact():
            assert self.is_alive or fact(), f"the controller ended with {self.process.returncode} before {what}"
            if time.monotonic() - began > seconds:
                pytest.fail(f"not within {seconds:.0f} s: {what}")
            time.sleep(_LOOK)
        return time.monotonic() - began

    def wait_acting(self, seconds: float = PATIENCE) -> float:
        """Seconds until it leads and has begun to work."""
        return self.wait_log("acting", seconds)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.is_alive:
            self.process.send_signal(number)

    def kill9(self) -> None:
        """End it as a crash does; returns when it is gone."""
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self) -> int:
        """SIGTERM; the exit code. After 10 s it is killed, and the test fails."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill9()
            pytest.fail("the controller did not end within 10 s of SIGTERM")

    def close(self) -> None:
        """Make sure that it is gone, whatever state it is in."""
        self.signal(signal.SIGCONT)
        self.kill9()

    def get(self, address: str) -> tuple[int, str]:
        """HTTP status and body at `host:port/path`."""
        try:
            with urllib.request.urlopen(f"http://{address}", timeout=5) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return int(error.code), error.read().decode()


def metric(text: str, wanted: str, /, **labels: str) -> float:
    """The value of one sample in the Prometheus text format; the sum over all that have these labels, 0 if none."""
    total = 0.0
    for line in text.splitlines():
        head, _, value = line.rpartition(" ")
        series, _, rest = head.partition("{")
        if series == wanted and all(f'{key}="{label}"' in rest for key, label in labels.items()):
            total += float(value)
    return total


def _parse(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {"event": line}
    return found if isinstance(found, dict) else {"event": line}
