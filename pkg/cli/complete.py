"""The command kubectl_complete-workflow, which kubectl calls to complete `kubectl workflow ...`."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the console script."""
    if sys.argv[1:] in (["-h"], ["--help"]):
        sys.stdout.write("Usage: kubectl_complete-workflow WORD...\n")
