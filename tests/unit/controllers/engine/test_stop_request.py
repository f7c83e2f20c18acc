"""A signal stops the process wherever it interrupts the main thread."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from pkg.controllers.engine.stop_request import StopRequest


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    made = StopRequest()
    made.install()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("line", range(10), ids=lambda line: f"at line {line} of the wait, or after them")
def test_a_signal_ends_the_wait_wherever_it_comes(stop: StopRequest, line: int) -> None:
    seen = 0

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal seen
        if event == "line" and frame.f_code.co_name != "_handle":
            seen += 1
            if seen == line + 1:
                signal.raise_signal(signal.SIGTERM)
        return trace

    def send_if_not_sent() -> None:
        if seen <= line:
            os.kill(os.getpid(), signal.SIGINT)

    later = threading.Timer(0.2, send_if_not_sent)
    later.start()
    sys.settrace(trace)
    try:
        stop.wait()
    finally:
        sys.settrace(None)
        later.cancel()
        later.join()
