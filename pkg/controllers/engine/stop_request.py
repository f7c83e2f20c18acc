"""How a signal asks a process to stop, and how the process ends."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


class StopRequest:
    """The first SIGTERM or SIGINT asks the process to stop in order, the second ends it at once.

    A pipe, because a signal handler may take no lock: the thread that it interrupts may hold it, for example within
    `threading.Event.wait`, and the process would hang.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._is_asked = False

    def install(self) -> None:
        """From now on the two signals are handled so."""
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle)

    def wait(self) -> None:
        """Returns once the first signal has come."""
        os.read(self._reader, 1)

    def _handle(self, number: int, _frame: object) -> None:
        if self._is_asked:
            os._exit(128 + number)
        self._is_asked = True
        os.write(self._writer, b"x")


def end_process(status: int) -> NoReturn:
    """Ends the process with this exit code, after what it has written is out.

    Daemon threads may still be in calls, also in some that were cut. There is no need to wait for them.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
