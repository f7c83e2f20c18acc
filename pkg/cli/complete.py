"""The command kubectl_complete-workflow, which kubectl calls to complete `kubectl workflow ...`."""

from __future__ import annotations


def main() -> None:
    """Entry point of the console script."""
