"""CronWorkflows as people look at them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1.types import CRONWORKFLOWS
from pkg.kube.client import Client
from pkg.views.paging import read_all


class _Meta(msgspec.Struct, frozen=True):
    name: str
    namespace: str = ""


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    schedules: tuple[str, ...] = ()
    time_zone: str = ""
    suspend: bool = False


class _Condition(msgspec.Struct, frozen=True):
    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    active_count: int = 0
    last_schedule_time: datetime | None = None
    next_schedule_time: datetime | None = None
    conditions: tuple[_Condition, ...] = ()


class Listed(msgspec.Struct, frozen=True):
    """The fields of a CronWorkflow that a line needs."""

    metadata: _Meta
    spec: _Spec = _Spec()
    status: _Status = _Status()


@dataclass(frozen=True, slots=True)
class CronLine:
    """One CronWorkflow. state: Active, Suspended or Invalid; active: runs that have not ended; last, next: scheduled
    times in seconds since the epoch, 0 if there is none; why: of an Invalid one, what is to be corrected.
    """

    namespace: str
    name: str
    schedules: tuple[str, ...]
    zone: str
    state: str
    active: int
    last: float
    next: float
    why: str = ""


def line_of(found: Listed) -> CronLine:
    """One CronWorkflow as a line."""
    spec, status = found.spec, found.status
    faults = [one for one in status.conditions if (one.type, one.status) == ("Valid", "False")]
    return CronLine(
        namespace=found.metadata.namespace,
        name=found.metadata.name,
        schedules=spec.schedules,
        zone=spec.time_zone or "UTC",
        state="Invalid" if faults else "Suspended" if spec.suspend else "Active",
        active=status.active_count,
        last=_seconds(status.last_schedule_time),
        next=_seconds(status.next_schedule_time),
        why=": ".join(filter(None, (faults[0].reason, faults[0].message))) if faults else "",
    )


def _seconds(time: datetime | None) -> float:
    return time.timestamp() if time is not None else 0.0


def read_lines(client: Client, namespace: str | None, selector: str = "") -> list[CronLine]:
    """The CronWorkflows of a namespace (None: of all), in the order of the API server. Raises KubeError."""
    return [line_of(one) for one in read_all(client, CRONWORKFLOWS, namespace, Listed, label_selector=selector)]


def read_objects(client: Client, namespace: str | None, selector: str = "") -> list[Any]:
    """The whole objects. Raises KubeError."""
    return list(read_all(client, CRONWORKFLOWS, namespace, dict[str, Any], label_selector=selector))


def read_names(client: Client, namespace: str | None) -> list[str]:
    """Their names; only metadata is read. Raises KubeError."""
    return [one.metadata.name for one in read_all(client, CRONWORKFLOWS, namespace, Listed, metadata_only=True)]
