"""CronWorkflows that fire each minute while faults happen, and whether each minute got its run, once.

Their runs are suspended, so that they have no jobs and end in no way that anything else counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

from hack.cluster.api import Api
from hack.faults.load import FLOW_API, Object
from pkg.apis.meta import seconds

CRONS: Final = 10
MINUTE: Final = 60
#: So long after its minute a run may be made, after the last fault.
LATE_SECONDS: Final = 30.0
_PREFIX: Final = "minutely-"
_RUN: Final = {"suspend": True, "flows": [{"name": "a", "template": "step"}]}


def is_run(name: str) -> bool:
    """Whether a Workflow is a run of one of these."""
    return name.startswith(_PREFIX)


def submit(api: Api, namespace: str) -> dict[str, float]:
    """Makes the CronWorkflows, and returns when each was created (seconds since the epoch), by name."""
    found: dict[str, float] = {}
    for number in range(CRONS):
        spec: dict[str, Any] = {"schedules": ["* * * * *"], "workflowTemplate": {"spec": _RUN}}
        made = {
            "apiVersion": FLOW_API,
            "kind": "CronWorkflow",
            "metadata": {"name": f"{_PREFIX}{number}"},
            "spec": spec,
        }
        answer = json.loads(api.request("POST", f"/apis/{FLOW_API}/namespaces/{namespace}/cronworkflows", made))
        found[answer["metadata"]["name"]] = seconds(answer["metadata"]["creationTimestamp"])
    return found


class ScheduleEvidence:
    """Every run that was ever seen. The caller has a lock of its own."""

    def __init__(self) -> None:
        self._uids: dict[str, set[str]] = {}
        self._gone: set[str] = set()

    def see(self, event: str, run: Object) -> None:
        """One watch event."""
        meta = run["metadata"]
        self._uids.setdefault(meta["name"], set()).add(meta["uid"])
        if event == "DELETED":
            self._gone.add(meta["name"])

    def faults(self, created: dict[str, float], until: float) -> list[str]:
        """Minutes without a run, and runs that were made twice or went away. until: seconds since the epoch."""
        wanted = {name for cron, at in created.items() for name in _names(cron, at, until)}
        found = [f"{name} was not made" for name in sorted(wanted - self._uids.keys())]
        found += [f"{name} was made {len(uids)} times" for name, uids in self._uids.items() if len(uids) > 1]
        found += [f"{name} has gone" for name in sorted(self._gone)]
        return [f"schedule: {text}" for text in found]


def _names(cron: str, created: float, until: float) -> list[str]:
    first = int(created) // MINUTE + 1
    return [f"{cron}-{minute}" for minute in range(first, int(until) // MINUTE + 1)]


def missed(
    evidence: Callable[[float], list[str]],
    created: dict[str, float],
    wait: Callable[[Callable[[], bool], float], bool],
) -> list[str]:
    """What is wrong with the schedules at the end, once a minute has passed and its runs had time to be made."""
    newest = max(created.values())
    until = max(time.time(), (int(newest) // MINUTE + 1) * MINUTE + 1.0)
    wait(lambda: time.time() > until and not evidence(until), until - time.time() + LATE_SECONDS)
    return evidence(until)
