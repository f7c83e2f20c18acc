"""Starts workflow-controller, workflow-webhook and workflow-dashboard, or says what is to be installed for them.

`pip install work-flow` brings kubectl-workflow alone. What the others need is in the extras `controller` and
`dashboard`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module


def controller() -> None:
    """Entry point of workflow-controller."""
    _main("workflow-controller", "pkg.controllers.app")()


def webhook() -> None:
    """Entry point of workflow-webhook."""
    _main("workflow-webhook", "pkg.webhooks.app")()


def dashboard() -> None:
    """Entry point of workflow-dashboard."""
    _main("workflow-dashboard", "pkg.dashboard.app", "dashboard")()


def _main(command: str, module: str, extra: str = "controller") -> Callable[[], None]:
    try:
        found: Callable[[], None] = import_module(module).main
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "pkg":
            raise
        sys.stderr.write(
            f"{command}: the Python package {error.name} is not installed here; pip install 'work-flow[{extra}]' "
            "brings all that it needs\n"
        )
        sys.exit(1)
    return found
