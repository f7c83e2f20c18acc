"""Argo's CronWorkflow as ours: when runs are made, and the Workflow that is made."""

from __future__ import annotations

import re
from typing import Final

from pkg.apis.flow.v1alpha1.schedules import ScheduleFault, parse, zone_of
from pkg.apis.flow.v1alpha1.types import API_VERSION, MAX_SCHEDULES
from pkg.convert.result import Object
from pkg.convert.source import Source

#: Fields that say when a Workflow is made, and not which one.
SCHEDULE_FIELDS: Final = (
    "schedule",
    "schedules",
    "timezone",
    "suspend",
    "concurrencyPolicy",
    "startingDeadlineSeconds",
    "successfulJobsHistoryLimit",
    "failedJobsHistoryLimit",
    "stopStrategy",
    "when",
)
_LOST: Final = {
    "stopStrategy": "a schedule does not end by itself: kubectl workflow cron suspend",
    "when": "every scheduled time makes a run: write it as when of its flows",
}
_POLICIES: Final = {
    "Allow": "",
    "Forbid": "a run that is due meanwhile is made once the earlier one has ended; Argo leaves it out",
    "Replace": "the run is made once the jobs of the earlier one are gone",
}
_LIMITS: Final = {
    "successfulJobsHistoryLimit": "successfulHistoryLimit",
    "failedJobsHistoryLimit": "failedHistoryLimit",
}
_MAX_KEPT: Final = 1_000
_MAX_SECONDS: Final = 2_147_483_647
_WITH_ZONE: Final = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.+)")
_EVERY: Final = re.compile(r"@every\s+([0-9]+)([mh])(?:0m)?(?:0s)?")


def cron_workflow(meta: Object, spec: Source, run: Object) -> Object | None:
    """The CronWorkflow that makes a run, which is a Workflow; None if no schedule of it can be had here.

    meta: metadata of the CronWorkflow; spec: of Argo's.
    """
    schedules, zone = _times(spec)
    if not schedules:
        return None
    found: Object = {"schedules": schedules}
    if zone:
        found["timeZone"] = zone
    if (suspend := spec.get("suspend")) is not None:
        if isinstance(suspend.peek(), bool):
            found["suspend"] = suspend.plain()
        else:
            suspend.lose("suspend is true or false")
    _policy(spec, found)
    for theirs, ours in _LIMITS.items():
        if (limit := spec.get(theirs)) is not None:
            _number(limit, found, ours, _MAX_KEPT)
    spec.lose_fields(_LOST)
    template: Object = {"spec": run["spec"]}
    if run_meta := _metadata(spec):
        template = {"metadata": run_meta, **template}
    return {
        "apiVersion": API_VERSION,
        "kind": "CronWorkflow",
        "metadata": meta,
        "spec": {**found, "workflowTemplate": template},
    }


def _times(spec: Source) -> tuple[list[str], str]:
    """The schedules, and their zone, which all of them share."""
    zone = None if (given := spec.get("timezone")) is None else _zone(given, given.text())
    found: list[str] = []
    alone = spec.get("schedule")
    for item in [*([] if alone is None else [alone]), *spec.list_of("schedules")]:
        own, text = zone if given is not None and zone else "", item.word()
        if (match := _WITH_ZONE.fullmatch(text)) is not None:
            own, text = match[1], match[2]
            if not _zone(item, own):
                continue
        if zone is None:
            zone = own
        if own != zone:
            item.lose(f"all schedules are in one zone, {zone or 'UTC'}: make a second CronWorkflow")
        elif len(found) == MAX_SCHEDULES:
            item.lose(f"there are at most {MAX_SCHEDULES} schedules: make a second CronWorkflow")
        elif text := _schedule(item, text):
            found.append(text)
    return found, zone or ""


def _zone(source: Source, name: str) -> str:
    try:
        zone_of(name)
    except ScheduleFault as error:
        source.lose(str(error))
        return ""
    return name


def _schedule(source: Source, text: str) -> str:
    """A schedule as we have it; empty, and lost, if we have none like it."""
    if (match := _EVERY.fullmatch(text.strip())) is not None and (found := _interval(int(match[1]), match[2])):
        source.check(f"{found} counts by the clock, @every counts from the start of Argo's controller")
        return found
    try:
        parse(text)
    except ScheduleFault as error:
        source.lose(str(error))
        return ""
    source.plain()
    return text


def _interval(number: int, unit: str) -> str:
    """An interval that the clock can count: one that divides the hour, or the day."""
    if unit == "h" and number and 24 % number == 0:
        return f"0 */{number} * * *"
    if unit == "m" and number and 60 % number == 0:
        return f"*/{number} * * * *" if number < 60 else "0 * * * *"
    return ""


def _policy(spec: Source, found: Object) -> None:
    if (policy := spec.get("concurrencyPolicy")) is not None:
        if policy.word() in _POLICIES:
            found["concurrencyPolicy"] = policy.text()
            if remark := _POLICIES[policy.word()]:
                policy.check(remark)
        elif policy.word() or policy.is_object or policy.is_list:
            policy.lose("concurrencyPolicy is Allow, Forbid or Replace; Allow holds without it")
        else:
            policy.skip("empty")
    deadline = spec.get("startingDeadlineSeconds")
    if deadline is None:
        return
    if deadline.word() == "0":
        deadline.check("it is left out, so a missed run is made later; write 60 to make none over a minute late")
    else:
        _number(deadline, found, "startingDeadlineSeconds", _MAX_SECONDS)


def _number(source: Source, found: Object, name: str, most: int) -> None:
    value = source.peek()
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        found[name] = source.plain()
    else:
        source.lose(f"{name} is a whole number of 0 to {most}")


def _metadata(spec: Source) -> Object:
    """Labels and annotations of the runs."""
    meta = spec.get("workflowMetadata")
    if meta is None:
        return {}
    found: Object = {}
    for key in ("labels", "annotations"):
        if (part := meta.get(key)) is None:
            continue
        if entries := {item.key: item.text() for item in part.fields()}:
            found[key] = entries
        elif part.is_object:
            part.skip("empty")
    meta.lose_fields(
        {
            "name": "runs are named by the CronWorkflow and their time",
            "generateName": "runs are named by the CronWorkflow and their time",
            "namespace": "runs are made in the namespace of the CronWorkflow",
            "finalizers": "whoever removes it knows the old kind only",
        }
    )
    if not meta.fields():
        meta.skip("empty")
    return found
