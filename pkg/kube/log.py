"""The logger of this package: structlog's, if the program uses structlog; else nothing is logged.

The command line does not: it starts without structlog, and a line of a log would get between those of its output.
"""

from __future__ import annotations

import sys
from typing import Any


class Log:
    """Passes each line on to structlog; `name` is the logger."""

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, event: str, **fields: Any) -> None:
        """Log at the level debug."""
        self._log("debug", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log at the level warning."""
        self._log("warning", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Log at the level error, with the exception that is being handled."""
        self._log("exception", event, fields)

    def _log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        structlog = sys.modules.get("structlog")
        if structlog is not None:
            getattr(structlog.get_logger(self._name), level)(event, **fields)
