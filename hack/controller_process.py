"""workflow-controller as a process: how the demo, the benchmarks, the fault runs and the tests start and end it.

It runs the code of this checkout, or of the one that WORKFLOW_CHECKOUT in the environment names (`make test` sets it to
a copy with a compiled core), not the version that is installed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from hack.cluster import Cluster
from hack.cluster.processes import member_environ

CHECKOUT = Path(os.environ.get("WORKFLOW_CHECKOUT") or Path(__file__).parents[1]).resolve()
"""The checkout whose programs are run."""
NO_SERVERS = ("--metrics-bind-address=0", "--health-bind-address=0")
"""Flags of a controller that serves neither metrics nor health, so that it needs no port."""
_TICKS = os.sysconf("SC_CLK_TCK")


def command(*flags: str, root: Path = CHECKOUT, program: str = "workflow-controller") -> list[str]:
    """The command line of a controller, or of another program of ours, with these flags, of the checkout at `root`."""
    return [sys.executable, str(root / "cmd" / program / "main.py"), *flags]


class ControllerProcess:
    """One running controller. Its log goes to a file: no pipe can fill up, and the log outlives a killed process.

    The process has the mark of the cluster, so the end of the cluster ends it, even if the caller was killed. It has a
    session of its own: Ctrl-C reaches the caller alone, which then stops the controller in order.
    """

    program = "workflow-controller"

    def __init__(
        self,
        cluster: Cluster,
        log: Path,
        *flags: str,
        kubeconfig: Path | None = None,
        env: Mapping[str, str] = MappingProxyType({}),
        root: Path = CHECKOUT,
    ) -> None:
        """Starts it and does not wait. `kubeconfig`: the cluster's own if None; `env`: more variables for it; `root`:
        the checkout that it runs.
        """
        self.log_file = log
        self.flags = flags
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                self.command_line(kubeconfig or cluster.kubeconfig, flags, root),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=member_environ(cluster.folder, {**os.environ, **env}),
                cwd=log.parent,
                start_new_session=True,
            )

    def command_line(self, kubeconfig: Path, flags: Sequence[str], root: Path) -> list[str]:
        """What is run."""
        return command(f"--kubeconfig={kubeconfig}", *flags, root=root, program=self.program)

    @property
    def exit_code(self) -> int | None:
        """As subprocess gives it (negative for a signal); None while it runs."""
        return self.process.poll()

    @property
    def is_alive(self) -> bool:
        return self.exit_code is None

    @property
    def is_acting(self) -> bool:
        """Whether it has begun to work: it leads, if there is an election, and its caches are complete."""
        return '"acting"' in self.log_text()

    def log_text(self) -> str:
        """Everything that it has logged so far."""
        return self.log_file.read_text(errors="replace")

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self.log_text().splitlines()[-lines:])

    def wait_acting(self, seconds: float = 30.0) -> float:
        """The seconds until it acted. RuntimeError with the end of its log if it ends before, or takes longer."""
        began = time.monotonic()
        while not self.is_acting:
            if not self.is_alive or time.monotonic() - began > seconds:
                state = "runs, but does not act" if self.is_alive else f"ended with exit code {self.exit_code}"
                raise RuntimeError(f"the controller {state} after {seconds:.0f} s; the end of its log:\n{self.tail()}")
            time.sleep(0.01)
        return time.monotonic() - began

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, if it still runs."""
        if self.is_alive:
            self.process.send_signal(number)

    def stop(self, seconds: float = 10.0) -> bool:
        """SIGTERM, and kill -9 if it still runs after `seconds`; False in that case. Returns when it is gone."""
        self.send(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def kill(self) -> None:
        """kill -9, as a crash ends it; returns when it is gone."""
        self.send(signal.SIGKILL)
        self.process.wait(10)

    def cpu_seconds(self) -> float:
        """CPU time used so far, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mib(self) -> float:
        """Resident memory now, in MiB."""
        return self._status_mib("VmRSS")

    def peak_mib(self) -> float:
        """Peak resident memory in MiB."""
        return self._status_mib("VmHWM")

    def _status_mib(self, field: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(field))
