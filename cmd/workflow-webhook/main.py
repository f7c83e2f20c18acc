#!/usr/bin/env python3
"""Runs workflow-webhook from a checkout: `python cmd/workflow-webhook/main.py --port=9443`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from pkg.webhooks.app import main  # noqa: E402

if __name__ == "__main__":
    main()
