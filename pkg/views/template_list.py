"""WorkTemplates as people look at them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1.types import WORKTEMPLATES
from pkg.kube.client import Client
from pkg.views.durations import elapsed
from pkg.views.paging import read_all


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str = ""
    creation_timestamp: datetime | None = None


class _GVR(msgspec.Struct, frozen=True):
    version: str = ""
    resource: str = ""
    group: str = ""


class _Parameter(msgspec.Struct, frozen=True):
    name: str
    value: str | None = None


class _Spec(msgspec.Struct, frozen=True):
    gvr: _GVR = _GVR()
    parameters: tuple[_Parameter, ...] = ()


class _UsedBy(msgspec.Struct, frozen=True):
    count: int = 0
    names: tuple[str, ...] = ()


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    used_by: _UsedBy = _UsedBy()


class Listed(msgspec.Struct, frozen=True):
    """The fields of a WorkTemplate that a line needs."""

    metadata: _Meta
    spec: _Spec = _Spec()
    status: _Status = _Status()


@dataclass(frozen=True, slots=True)
class TemplateLine:
    """One WorkTemplate. parameters: `epochs=3` with its default, `rate` where one must be given; used_by: Workflows."""

    namespace: str
    name: str
    kind: str
    parameters: tuple[str, ...]
    used_by: int
    users: tuple[str, ...]
    age: float | None


def line(found: Listed, now: float) -> TemplateLine:
    """The line at `now`, in seconds since the epoch. Pure."""
    gvr = found.spec.gvr
    parameters = tuple(one.name if one.value is None else f"{one.name}={one.value}" for one in found.spec.parameters)
    return TemplateLine(
        namespace=found.metadata.namespace,
        name=found.metadata.name,
        kind=".".join(part for part in (gvr.resource, gvr.version, gvr.group) if part),
        parameters=parameters,
        used_by=found.status.used_by.count,
        users=found.status.used_by.names,
        age=elapsed(found.metadata.creation_timestamp, None, now),
    )


def read_lines(client: Client, namespace: str | None, now: float, label_selector: str = "") -> list[TemplateLine]:
    """The WorkTemplates by namespace and name. Raises KubeError."""
    return [line(one, now) for one in read_all(client, WORKTEMPLATES, namespace, Listed, label_selector=label_selector)]


def read_line(client: Client, namespace: str, name: str, now: float) -> TemplateLine:
    """One of them. Raises KubeError."""
    return line(client.get(WORKTEMPLATES, namespace, name, Listed), now)


def read_objects(client: Client, namespace: str | None, label_selector: str = "") -> list[dict[str, Any]]:
    """The objects as the API server has them. Raises KubeError."""
    return read_all(client, WORKTEMPLATES, namespace, dict[str, Any], label_selector=label_selector)


def read_object(client: Client, namespace: str, name: str) -> dict[str, Any]:
    """One of them as the API server has it. Raises KubeError."""
    return client.get(WORKTEMPLATES, namespace, name, dict[str, Any])


def read_names(client: Client, namespace: str | None) -> list[str]:
    """Their names; only metadata is read. Raises KubeError."""
    return [one.metadata.name for one in read_all(client, WORKTEMPLATES, namespace, Listed, metadata_only=True)]
