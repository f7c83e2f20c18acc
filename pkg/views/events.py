"""The Events about a Workflow, its jobs and their pods."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.apis.meta import GVR, ObjectMeta
from pkg.kube.client import Client
from pkg.views.applied import objects_of
from pkg.views.attempts import read_jobs
from pkg.views.durations import seconds_of
from pkg.views.paging import read_all

EVENTS: Final = GVR("", "v1", "events")


class _Object(msgspec.Struct, frozen=True):
    kind: str = ""
    name: str = ""
    uid: str = ""


class _Series(msgspec.Struct, frozen=True, rename="camel"):
    count: int = 0
    last_observed_time: str | None = None


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """The fields of an Event that people read, as the core API has them."""

    metadata: ObjectMeta
    involved_object: _Object = _Object()
    type: str = ""
    reason: str = ""
    message: str = ""
    count: int | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    series: _Series | None = None


@dataclass(frozen=True, slots=True)
class EventLine:
    """One Event. at: when it was last seen, seconds since the epoch; count: how often; where: `job/NAME`."""

    at: float
    type: str
    reason: str
    where: str
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class Events:
    """The lines, the oldest first, and the kinds of jobs that could not be read, with the reason."""

    lines: tuple[EventLine, ...]
    unread: tuple[str, ...]


def read_events(client: Client, workflow: Workflow, *, flow: str = "") -> Events:
    """The Events of the Workflow, its jobs, what it applied, and their pods, or of one flow alone. Raises KubeError."""
    meta = workflow.metadata
    jobs = read_jobs(client, workflow, flow=flow)
    applied = objects_of(workflow, flow)
    names = {job.metadata.name for _, job in jobs.found} | {one.name for one in applied}
    uids = {job.metadata.uid for _, job in jobs.found} | {one.uid for one in applied if one.uid}
    if not flow:
        uids.add(meta.uid)
    found = read_all(client, EVENTS, meta.namespace, Event)
    return Events(tuple(sorted(_about(found, uids, names), key=lambda one: one.at)), jobs.unread)


def _about(events: Iterable[Event], uids: Collection[str], jobs: Collection[str]) -> Iterable[EventLine]:
    """The Events about these objects, and about pods and others whose names begin with that of a job."""
    wanted = set(uids)
    by_name = set(jobs)
    for event in events:
        about = event.involved_object
        if about.uid in wanted or _job_of(about.name, by_name):
            yield line_of(event)


def _job_of(name: str, jobs: Collection[str]) -> bool:
    """Whether the name is that of a job, or begins with it and a dash, as the names of pods do."""
    while name:
        if name in jobs:
            return True
        name = name.rpartition("-")[0]
    return False


def line_of(event: Event) -> EventLine:
    """One Event as a line, in whichever of its three ways it says when it was seen. Pure."""
    series = event.series or _Series()
    times = (series.last_observed_time, event.last_timestamp, event.event_time, event.metadata.creation_timestamp)
    at = next((at for text in times if (at := seconds_of(text)) is not None), 0.0)
    about = event.involved_object
    return EventLine(
        at,
        event.type,
        event.reason,
        f"{about.kind.lower()}/{about.name}",
        event.message,
        series.count or event.count or 1,
    )
