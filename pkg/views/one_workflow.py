"""Reads one Workflow, with the jobs of its attempts if they are few enough to be looked at one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Workflow
from pkg.kube.client import Client
from pkg.views.attempts import by_task, read_jobs
from pkg.views.workflow_view import WorkflowView, view

#: Tasks above which the jobs are not read: nobody reads so many lines, and the list would be long.
MANY_TASKS: Final = 500


@dataclass(frozen=True, slots=True)
class Read:
    """A Workflow, its view, and what could not be read of its jobs."""

    workflow: Workflow
    view: WorkflowView
    unread: tuple[str, ...]


def read_workflow(client: Client, namespace: str, name: str) -> Workflow:
    """GET it. Raises KubeError."""
    return client.get(WORKFLOWS, namespace, name, Workflow)


def read_object(client: Client, namespace: str, name: str) -> dict[str, Any]:
    """GET it as the API server has it. Raises KubeError."""
    return client.get(WORKFLOWS, namespace, name, dict[str, Any])


def read_one(client: Client, namespace: str, name: str, now: float) -> Read:
    """The Workflow at `now`, with its attempts. Raises KubeError."""
    workflow = read_workflow(client, namespace, name)
    if workflow.status.tasks.total > MANY_TASKS:
        return Read(workflow, view(workflow, now), ())
    jobs = read_jobs(client, workflow)
    return Read(workflow, view(workflow, now, by_task(jobs.found)), jobs.unread)
