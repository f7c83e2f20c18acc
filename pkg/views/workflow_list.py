"""All Workflows of a namespace or of all, each as one line. Of each object only what the line needs is decoded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.types import WORKFLOWS
from pkg.apis.meta import GVR
from pkg.kube.client import Client
from pkg.views.durations import elapsed
from pkg.views.paging import read_all

NAMESPACES: Final = GVR("", "v1", "namespaces")


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class _Condition(msgspec.Struct, frozen=True):
    type: str
    status: str = ""
    message: str = ""
    reason: str = ""


class _Tasks(msgspec.Struct, frozen=True):
    running: int = 0
    failed: int = 0


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    reason: str = ""
    message: str = ""
    progress: str = ""
    start_time: str = ""
    completion_time: str = ""
    tasks: _Tasks = _Tasks()
    conditions: tuple[_Condition, ...] = ()


class Listed(msgspec.Struct, frozen=True):
    """The fields of a Workflow that a line needs."""

    metadata: _Meta
    status: _Status = _Status()


@dataclass(frozen=True, slots=True)
class Line:
    """One Workflow. phase: empty while no controller has written one; age, seconds: of its life, of its run, or None.

    why: what it waits for or why it ended, empty if there is nothing to say; is_blocked: it waits for a person.
    """

    namespace: str
    name: str
    phase: str
    progress: str
    age: float | None
    seconds: float | None
    running: int
    failed: int
    is_blocked: bool
    reason: str
    why: str


#: Reasons of an end that nobody needs to read about.
_QUIET = frozenset({"", "AllSucceeded", "AnySucceeded", "CriticalSucceeded"})


def line(found: Listed, now: float) -> Line:
    """The line at `now`, in seconds since the epoch. Pure."""
    status, meta = found.status, found.metadata
    blocked = next((each for each in status.conditions if each.type == "Blocked" and each.status == "True"), None)
    reason, message = (status.reason, status.message) if blocked is None else (blocked.reason, blocked.message)
    why = "" if reason in _QUIET else f"{reason}: {message}" if message else reason
    if meta.deletion_timestamp is not None:
        why = f"being deleted; {why}" if why else "being deleted"
    return Line(
        namespace=meta.namespace,
        name=meta.name,
        phase=status.phase,
        progress=status.progress,
        age=elapsed(meta.creation_timestamp, None, now),
        seconds=elapsed(status.start_time, status.completion_time, now),
        running=status.tasks.running,
        failed=status.tasks.failed,
        is_blocked=blocked is not None,
        reason=reason,
        why=why,
    )


def read_lines(
    client: Client,
    namespace: str | None,
    now: float,
    *,
    label_selector: str = "",
    field_selector: str = "",
    phases: Collection[str] = (),
    only_blocked: bool = False,
) -> list[Line]:
    """The lines by namespace and name; `phases` keeps those in one of these, or all. Raises KubeError."""
    found = read_all(client, WORKFLOWS, namespace, Listed, label_selector=label_selector, field_selector=field_selector)
    lines = [line(each, now) for each in found]
    wanted = {phase.lower() for phase in phases}
    return [
        one
        for one in lines
        if (not wanted or (one.phase or WorkflowPhase.PENDING).lower() in wanted)
        and (one.is_blocked or not only_blocked)
    ]


def read_objects(
    client: Client, namespace: str | None, *, label_selector: str = "", field_selector: str = ""
) -> list[dict[str, Any]]:
    """The objects as the API server has them. Raises KubeError."""
    return read_all(
        client, WORKFLOWS, namespace, dict[str, Any], label_selector=label_selector, field_selector=field_selector
    )


def read_names(
    client: Client, namespace: str | None, *, label_selector: str = "", field_selector: str = ""
) -> list[tuple[str, str]]:
    """Namespace and name of each; only metadata is read. Raises KubeError."""
    found = read_all(
        client,
        WORKFLOWS,
        namespace,
        Listed,
        label_selector=label_selector,
        field_selector=field_selector,
        metadata_only=True,
    )
    return [(each.metadata.namespace, each.metadata.name) for each in found]


def read_namespaces(client: Client) -> list[str]:
    """The names of all namespaces. Raises KubeError."""
    return [each.metadata.name for each in read_all(client, NAMESPACES, None, Listed, metadata_only=True)]
