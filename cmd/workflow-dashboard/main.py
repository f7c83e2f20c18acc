#!/usr/bin/env python3
"""Runs workflow-dashboard from a checkout: `python cmd/workflow-dashboard/main.py --port=8787`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from pkg.dashboard.app import main  # noqa: E402

if __name__ == "__main__":
    main()
