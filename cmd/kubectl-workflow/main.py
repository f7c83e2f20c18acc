#!/usr/bin/env python3
"""Runs kubectl-workflow from a checkout: `python cmd/kubectl-workflow/main.py list`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from pkg.cli.app import main  # noqa: E402

if __name__ == "__main__":
    main()
