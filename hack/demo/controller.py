"""The controller as the demo runs it: a process of its own, its log in a file, ended by its id."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_END_SECONDS = 5.0


class DemoError(Exception):
    """The demo cannot go on; its text says what happened, where, and what to do."""


class Controller:
    """A running workflow-controller; `log` is the file it writes to."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self.log = log

    def check(self) -> None:
        """Raises DemoError if the process has ended."""
        status = self._process.poll()
        if status is not None:
            raise DemoError(
                f"the controller ended by itself with exit code {status}; the end of its log:\n{self.tail()}"
            )

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Ends it in order, and by force after 5 seconds."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@contextmanager
def running(kubeconfig: Path, log: Path, *, workers: int) -> Iterator[Controller]:
    """A controller on the cluster of `kubeconfig`, ended with the block. Raises DemoError."""
    program = Path(sys.executable).with_name("workflow-controller")
    if not program.exists():
        raise DemoError(f"{program} is missing: run `make demo`, or `{sys.executable} -m pip install -e .` first")
    command = [
        str(program),
        f"--workers={workers}",
        f"--kubeconfig={kubeconfig}",
        # Nobody asks it anything here, so no port can be in somebody's way.
        "--metrics-bind-address=0",
        "--health-bind-address=0",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | {"KUBECONFIG": str(kubeconfig)},
            # A session of its own: Ctrl-C reaches the demo alone, which then ends it in order.
            start_new_session=True,
        )
    controller = Controller(process, log)
    try:
        yield controller
    finally:
        controller.stop()
