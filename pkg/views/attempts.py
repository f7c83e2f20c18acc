"""The attempts of a workflow's tasks whose jobs are still there: when each began and ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.records import kinds_of
from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.apis.meta import GVR, Job
from pkg.kube.client import Client
from pkg.kube.errors import Forbidden, KubeError, may_mean_not_served
from pkg.views.durations import seconds_of
from pkg.views.paging import read_all
from pkg.workloads.evaluator import JobState, read
from pkg.workloads.job_end import ends_of
from pkg.workloads.registry import rules_for


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt, by its job. number: from 0; started, ended: seconds since the epoch, None while it has not ended.

    succeeded: whether the job itself says so. An attempt may have failed all the same: its output was missing.
    """

    number: int
    job: str
    gvr: GVR
    started: float
    ended: float | None
    is_deleting: bool = False
    succeeded: bool = False


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of a workflow with their kinds, and what could not be read, with the reason."""

    found: tuple[tuple[GVR, Job], ...]
    unread: tuple[str, ...] = ()


def read_jobs(client: Client, workflow: Workflow, *, flow: str = "") -> Jobs:
    """The jobs of a workflow, or of one flow. A kind that may not be listed goes to `unread`. Raises KubeError."""
    selector = f"{labels.WORKFLOW_UID}={workflow.metadata.uid}"
    if flow:
        selector += f",{labels.FLOW}={flow}"
    found: list[tuple[GVR, Job]] = []
    unread: list[str] = []
    for text in sorted(kinds_of(workflow.status)):
        gvr = GVR.parse(text)
        try:
            jobs = read_all(client, gvr, workflow.metadata.namespace, Job, label_selector=selector)
        except Forbidden as error:
            unread.append(f"{gvr.group_resource}: {error.message}")
        except KubeError as error:
            if not may_mean_not_served(error):
                raise
            unread.append(f"{gvr.group_resource}: the API server says that it does not serve it")
        else:
            found += [(gvr, job) for job in jobs]
    return Jobs(tuple(found), tuple(unread))


def by_task(jobs: Iterable[tuple[GVR, Job]]) -> dict[tuple[str, int], tuple[AttemptView, ...]]:
    """The attempts by flow and index (0 without `for`), the oldest first. A job without our labels is left out."""
    found: dict[tuple[str, int], list[AttemptView]] = {}
    for gvr, job in jobs:
        tags = job.metadata.labels
        index, number = tags.get(labels.INDEX, "0"), tags.get(labels.ATTEMPT, "")
        created = seconds_of(job.metadata.creation_timestamp)
        if labels.FLOW in tags and index.isdecimal() and number.isdecimal() and created is not None:
            one = AttemptView(
                number=int(number),
                job=job.metadata.name,
                gvr=gvr,
                started=created,
                ended=ended_at(job.status),
                is_deleting=job.metadata.is_deleting,
                succeeded=read(rules_for(gvr), job).state is JobState.SUCCEEDED,
            )
            found.setdefault((tags[labels.FLOW], int(index)), []).append(one)
    return {task: tuple(sorted(all_, key=lambda one: one.number)) for task, all_ in found.items()}


def ended_at(status: Mapping[str, Any]) -> float | None:
    """When a job, or the last of a Pod's containers so far, ended; None if nothing says so. Pure."""
    return max(ends_of(status), default=None)
