"""Reads what a retry of a Workflow would run again, and asks for it, with the rights of a client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from msgspec import json

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Workflow, WorkTemplate
from pkg.apis.meta import GVR, Job, PartialObject
from pkg.kube.client import MERGE_PATCH, Client
from pkg.kube.errors import Conflict, Forbidden, KubeError, may_mean_not_served
from pkg.views.paging import read_all
from pkg.views.retries import Again, CannotRetry, Retry, check_state, plan_retry, service_kinds
from pkg.views.templates import read_templates

_TRIES: Final = 5
Say = Callable[[str], object]


class Changed(CannotRetry):
    """The workflow was changed meanwhile, so that something else would run again than was shown."""


def new_token() -> str:
    """The moment of a request, for spec.restart.at."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def read_retry(
    client: Client,
    namespace: str,
    name: str,
    token: str,
    flows: tuple[str, ...] = (),
    parameters: Mapping[str, str] | None = None,
    say: Say = lambda _: None,
) -> Retry:
    """What a retry would run again as everything is now; say: is given what could not be read.

    Raises CannotRetry, KubeError.
    """
    workflow = client.get(WORKFLOWS, namespace, name, Workflow)
    check_state(workflow)
    templates = _templates(client, workflow, say)
    services = _services(client, workflow, templates, say)
    return plan_retry(workflow, token, templates, services, flows=flows, parameters=parameters)


def send_retry(
    client: Client,
    namespace: str,
    name: str,
    shown: Retry | tuple[Again, ...],
    token: str,
    flows: tuple[str, ...] = (),
    parameters: Mapping[str, str] | None = None,
) -> Retry:
    """Asks for the retry that somebody was shown. Raises Changed, CannotRetry, KubeError."""
    again = shown.again if isinstance(shown, Retry) else shown
    planned = shown if isinstance(shown, Retry) else None
    for _ in range(_TRIES):
        if planned is None:
            planned = read_retry(client, namespace, name, token, flows, parameters)
            if planned.again != again:
                raise Changed(f"{name} was changed meanwhile; look again what a retry means now")
        try:
            client.patch(
                WORKFLOWS,
                namespace,
                name,
                json.encode(planned.patch),
                content_type=MERGE_PATCH,
                type=PartialObject,
                metadata_only=True,
            )
        except Conflict:
            planned = None  # somebody changed the workflow, perhaps the controller its status
        else:
            return planned
    raise CannotRetry(f"{name} is being changed by somebody else all the time; try again in a moment")


def _templates(client: Client, workflow: Workflow, say: Say) -> dict[str, WorkTemplate]:
    try:
        return read_templates(client, workflow.metadata.namespace, workflow.spec.template_names)
    except Forbidden:
        say("without the right to read WorkTemplates, more may run again than is listed")
        return {}


def _services(
    client: Client, workflow: Workflow, templates: Mapping[str, WorkTemplate], say: Say
) -> list[tuple[GVR, Job]]:
    """The jobs of services; a service whose job is gone runs again."""
    selector = f"{labels.WORKFLOW_UID}={workflow.metadata.uid}"
    found: list[tuple[GVR, Job]] = []
    for gvr in sorted(service_kinds(workflow, templates)):
        try:
            jobs = read_all(client, gvr, workflow.metadata.namespace, Job, label_selector=selector)
        except Forbidden:
            say(f"without the right to list {gvr.group_resource}, services are listed although they may stay")
        except KubeError as error:
            if not may_mean_not_served(error):
                raise
            say(f"the API server says that it does not serve {gvr.group_resource}, so its services are listed")
        else:
            found += [(gvr, job) for job in jobs]
    return found
