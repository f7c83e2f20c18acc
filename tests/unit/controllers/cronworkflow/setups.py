"""CronWorkflows and runs in a line, so that tests read as sentences."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1.cron_runs import run_name
from pkg.apis.flow.v1alpha1.faults import Faults
from pkg.apis.flow.v1alpha1.schedules import Timetable
from pkg.apis.flow.v1alpha1.types import CronWorkflow
from pkg.controllers.cronworkflow.planner.snapshot import Notes, Run, Snapshot

UID: Final = "6a3ef3c2-0000-4000-8000-00000000c401"
#: The CronWorkflows of these tests were created at this moment.
DAY: Final = "2027-03-01T00:00:00Z"


def at(text: str) -> int:
    """Seconds since the epoch; a time of the day alone is one of DAY."""
    full = text if "T" in text else f"2027-03-01T{text}Z"
    return int(datetime.fromisoformat(full).timestamp())


def cron(*schedules: str, status: dict[str, Any] | None = None, deleted: str = "", **spec: Any) -> CronWorkflow:
    """A CronWorkflow `nightly`; fields of its spec as YAML writes them."""
    meta = {
        "name": "nightly",
        "namespace": "team",
        "uid": UID,
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": DAY,
        **({"deletionTimestamp": deleted} if deleted else {}),
    }
    template = spec.pop("workflowTemplate", {"spec": {"flows": [{"name": "a"}]}})
    manifest = {
        "metadata": meta,
        "spec": {"schedules": schedules or ("0 * * * *",), "workflowTemplate": template, **spec},
        "status": status or {},
    }
    return msgspec.json.decode(msgspec.json.encode(manifest), type=CronWorkflow)


def run(of: str, *, ended: str = "", failed: bool = False, **more: Any) -> Run:
    """The run of a scheduled time, that has not ended, or has succeeded."""
    name = run_name("nightly", at(of))
    made = Run(name, f"uid-{name}", at(of), at(of) + 1.0)
    if ended:
        made = replace(made, is_ended=True, has_succeeded=not failed, ended_at=float(at(ended)))
    return replace(made, **more)


def snapshot(of: CronWorkflow, now: str, *runs: Run, faults: Faults | None = None, **notes: Any) -> Snapshot:
    """The CronWorkflow and its runs at a moment of DAY."""
    judged = faults or Timetable.of(of.spec.schedules, of.spec.time_zone)
    return Snapshot(of, judged, runs, float(at(now)), Notes(**notes))
