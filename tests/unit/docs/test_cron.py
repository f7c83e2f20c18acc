"""docs/cron.md explains every reason of a CronWorkflow, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from pkg.apis.flow.v1alpha1.reasons import CronReasons

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "cron.md").read_text("utf-8")


def test_every_reason_is_explained() -> None:
    rows = re.findall(r"^\| `([A-Z]\w+)` \| (?:condition|Event)[^|]*\| \S.* \|$", TEXT, re.MULTILINE)
    assert sorted(rows) == sorted(value for name, value in vars(CronReasons).items() if name.isupper())
