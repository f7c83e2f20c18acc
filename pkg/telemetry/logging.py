"""Logs: structured, one line each, on standard error; everything that any library logs goes the same way.

Text is constant and the keys vary, so that logs can be counted and searched. Each line of a reconcile has the key and
the id of the reconcile (`pkg/kube/log_context.py`).
"""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

from pkg.kube.log_context import add_reconcile

Format = Literal["json", "console"]
LEVELS = ("debug", "info", "warning", "error")


def configure(level: str, fmt: Format, stream: TextIO | None = None) -> None:
    """Set up logging for the process; ValueError if `level` is not one of LEVELS.

    Times are ISO 8601 in UTC. `stream` is standard error but for tests.
    """
    if level.lower() not in LEVELS:
        raise ValueError(f"the log level is {level!r}; it must be one of {', '.join(LEVELS)}")
    number = logging.getLevelNamesMapping()[level.upper()]
    output = stream or sys.stderr
    shared: list[Processor] = [
        add_reconcile,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        # A line below the level costs almost nothing: its method does nothing.
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(fmt, output)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    logging.captureWarnings(True)
    # No log line shows the thread or the process, and finding them costs time on each line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _renderers(fmt: Format, output: TextIO) -> list[Processor]:
    if fmt == "console":
        # Its own tracebacks show the variables of each call, tokens among them, and take seconds.
        plain = structlog.dev.plain_traceback
        colors = output.isatty()
        return [
            structlog.dev.ConsoleRenderer(
                colors=colors, timestamp_key="time", event_key="event", exception_formatter=plain
            )
        ]
    return [structlog.processors.format_exc_info, _in_order, structlog.processors.JSONRenderer(default=str)]


def _in_order(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The fields that people look for first come first."""
    ordered: EventDict = {key: event.pop(key) for key in ("time", "level", "event", "logger") if key in event}
    ordered.update(event)
    return ordered
