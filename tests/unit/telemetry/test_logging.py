"""Log lines as operators and their tools get them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from pkg.kube.log_context import RECONCILE
from pkg.telemetry.logging import Format, configure


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    shown = logging.logThreads, logging.logProcesses, logging.logMultiprocessing
    yield
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing = shown
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@contextmanager
def reconciling(key: str) -> Iterator[None]:
    token = RECONCILE.set(("workflow", key, "3", 7))
    yield
    RECONCILE.reset(token)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_carry_time_level_text_and_the_reconcile() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    with reconciling("ns/a"):
        structlog.get_logger("worker").info("job created", job="a-b")
    structlog.get_logger("worker").info("idle")
    first, second = lines(stream)
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "info",
        "event": "job created",
        "logger": "worker",
        "workflow": "ns/a",
        "reconcile": "3-7",
        "job": "a-b",
    }
    assert {"workflow", "reconcile"}.isdisjoint(second)


def test_what_libraries_log_goes_the_same_way() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    with reconciling("ns/a"):
        logging.getLogger("urllib3").warning("pool %s is full", "x")
    [line] = lines(stream)
    assert (line["event"], line["level"], line["logger"], line["workflow"]) == (
        "pool x is full",
        "warning",
        "urllib3",
        "ns/a",
    )


def test_an_exception_stays_on_its_line() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    try:
        int("broken")
    except ValueError:
        structlog.get_logger("worker").exception("pass failed")
    [line] = lines(stream)
    assert "ValueError: invalid literal" in line["exception"]


@pytest.mark.parametrize(("level", "seen"), [("debug", 3), ("info", 2), ("warning", 1), ("ERROR", 0)])
def test_lines_below_the_level_are_not_written(level: str, seen: int) -> None:
    stream = io.StringIO()
    configure(level, "json", stream)
    log = structlog.get_logger("worker")
    log.debug("a")
    log.info("b")
    log.warning("c")
    assert len(lines(stream)) == seen


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_a_logger_made_before_is_configured_too(fmt: Format) -> None:
    log = structlog.get_logger("early")
    stream = io.StringIO()
    configure("info", fmt, stream)
    log.info("later", key="value")
    assert "later" in stream.getvalue()
    assert "value" in stream.getvalue()


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_a_traceback_shows_no_variables(fmt: Format) -> None:
    """One of them may be a token."""
    stream = io.StringIO()
    configure("info", fmt, stream)

    def fail(token: str) -> None:
        raise ValueError("no " + "answer" * len(token[:1]))

    try:
        fail("".join(["se", "cret"]))
    except ValueError:
        structlog.get_logger("early").exception("failed")
    assert "ValueError: no answer" in stream.getvalue()
    assert "secret" not in stream.getvalue()


def test_an_unknown_level_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'loud'; it must be one of debug, info, warning, error"):
        configure("loud", "json")
