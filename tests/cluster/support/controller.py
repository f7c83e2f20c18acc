"""workflow-controller as a process, with waits that fail the test."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from hack.controller_process import ControllerProcess

_LOOK = 0.01
PATIENCE = 60.0


class Controller(ControllerProcess):
    """One process, with a reader for its log (JSON lines), and waits that fail the test."""

    def log(self) -> list[dict[str, Any]]:
        """What it logged so far; a line that is no JSON comes as {"event": line}."""
        return [_parse(line) for line in self.log_text().splitlines() if line.strip()]

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
            assert self.is_alive or fact(), f"the controller ended with {self.exit_code} before {what}"
            if time.monotonic() - began > seconds:
                pytest.fail(f"not within {seconds:.0f} s: {what}")
            time.sleep(_LOOK)
        return time.monotonic() - began

    def wait_acting(self, seconds: float = PATIENCE) -> float:
        """Seconds until it leads and has begun to work."""
        return self.wait_log("acting", seconds)

    def terminate(self) -> int | None:
        """SIGTERM; the exit code. After 10 s it is killed, and the test fails."""
        if not self.stop(10):
            pytest.fail("the controller did not end within 10 s of SIGTERM")
        return self.exit_code

    def close(self) -> None:
        """Ends it in any state, also when it is stopped by SIGSTOP."""
        self.send(signal.SIGCONT)
        self.kill()

    def get(self, address: str) -> tuple[int, str]:
        """HTTP status and body at `host:port/path`."""
        try:
            with urllib.request.urlopen(f"http://{address}", timeout=5) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return int(error.code), error.read().decode()


def _parse(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {"event": line}
    return found if isinstance(found, dict) else {"event": line}
