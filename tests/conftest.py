"""What all tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from hack import compiled
from hack.controller_process import CHECKOUT
from pkg.version import build


def pytest_configure() -> None:
    """A compiled core that is older than its sources would be tested in their place."""
    if fault := compiled.fault(compiled.ROOT, compiled.modules()) or compiled.outdated(CHECKOUT):
        pytest.exit(fault, returncode=pytest.ExitCode.USAGE_ERROR)


def pytest_report_header() -> str:
    """Which of the two is tested: in the process of the tests, and in those of the programs that they start."""
    return f"core: {build()}, in the programs: {build(CHECKOUT / 'pkg')}"


@pytest.fixture(scope="session", autouse=True)
def _interrupted_by_sigterm() -> Iterator[None]:
    """Treats SIGTERM as Ctrl-C: pytest stops and ends the clusters. (SystemExit would only fail one test.)"""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)
