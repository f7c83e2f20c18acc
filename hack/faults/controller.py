"""workflow-controller as processes that are started, killed and started again; each life is remembered."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = Path(sys.executable).with_name("workflow-controller")


@dataclass(slots=True)
class Life:
    """One process: its identity, and when it lived (seconds since the epoch; ended 0 while it lives)."""

    process: subprocess.Popen[bytes]
    identity: str
    began: float
    ended: float = 0.0


class Controllers:
    """Starts controllers for one namespace; whatever is left is killed at the end. A context manager.

    Their logs go to one file per life under `folder`.
    """

    def __init__(self, kubeconfig: Path, namespace: str, folder: Path, *flags: str) -> None:
        self._flags = (
            f"--kubeconfig={kubeconfig}",
            f"--namespace={namespace}",
            f"--leader-elect-resource-namespace={namespace}",
            "--health-bind-address=0",
            "--workers=8",
            *flags,
        )
        self.folder = folder
        self.lives: list[Life] = []
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Controllers:
        return self

    def __exit__(self, *_: object) -> None:
        for life in self.lives:
            if not life.ended:
                self.kill(life)

    @property
    def logs(self) -> list[Path]:
        """The log of each life, oldest first."""
        return [self.folder / f"{life.identity}.log" for life in self.lives]

    def is_acting(self, life: Life) -> bool:
        """Whether that process has begun to work."""
        return '"acting"' in (self.folder / f"{life.identity}.log").read_text(errors="replace")

    def start(self, *flags: str) -> Life:
        """Starts one more; does not wait."""
        identity = f"life-{len(self.lives):03d}"
        metrics = (
            () if any("metrics-bind" in flag for flag in (*flags, *self._flags)) else ("--metrics-bind-address=0",)
        )
        command = [str(_SCRIPT), *self._flags, f"--leader-elect-identity={identity}", *metrics, *flags]
        with (self.folder / f"{identity}.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.lives.append(Life(process, identity, time.time()))
        return self.lives[-1]

    def kill(self, life: Life) -> None:
        """kill -9, and wait until it is gone. SystemExit if it had ended by itself: nothing may make it do that."""
        code = life.process.poll()
        life.process.send_signal(signal.SIGKILL)
        life.process.wait(10)
        life.ended = time.time()
        if code is not None:
            log = (self.folder / f"{life.identity}.log").read_text(errors="replace")
            raise SystemExit(f"controller {life.identity} ended by itself with {code}:\n{log[-3000:]}")


def free_port() -> int:
    """A port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def metric(port: int, name: str, **wanted: str) -> float:
    """The sum of all samples of that name with these labels; 0 if there are none, or nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0.0
    total = 0.0
    for line in text.splitlines():
        head, _, value = line.rpartition(" ")
        series, _, rest = head.partition("{")
        if series == name and all(f'{key}="{label}"' in rest for key, label in wanted.items()):
            total += float(value)
    return total
