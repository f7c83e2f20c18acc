"""What all tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _interrupted_by_sigterm() -> Iterator[None]:
    """Treats SIGTERM as Ctrl-C: pytest stops and ends the clusters. (SystemExit would only fail one test.)"""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)
