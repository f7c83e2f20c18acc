"""Starts workflow-controller and workflow-webhook, or says what is to be installed for them.

`pip install work-flow` brings kubectl-workflow alone. What only these two need is in the extra `controller`.
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


def _main(command: str, module: str) -> Callable[[], None]:
    try:
        found: Callable[[], None] = import_module(module).main
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "pkg":
            raise
        sys.stderr.write(
            f"{command}: the Python package {error.name} is not installed here; pip install 'work-flow[controller]' "
            "brings all that it needs\n"
        )
        sys.exit(1)
    return found
