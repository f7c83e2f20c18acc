#!/usr/bin/env python3
"""Runs workflow-controller from a checkout: `python cmd/workflow-controller/main.py --workers=8`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from pkg.controllers.app import main  # noqa: E402

if __name__ == "__main__":
    main()
