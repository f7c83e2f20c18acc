"""Keeps WorkTemplate.status.usedBy: how many Workflows name a template, and which.

It has a queue and a worker of its own, so it never delays the reconcile of a workflow.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable

import msgspec

from pkg.apis.flow.v1alpha1.types import WORKTEMPLATES, UsedBy, Workflow, WorkTemplate
from pkg.controllers.engine.result import Again, Done, Drop, Later, Result
from pkg.controllers.engine.store import Store
from pkg.kube.client import MERGE_PATCH, Client
from pkg.kube.errors import KubeError, NotFound, Stopped

TEMPLATE_INDEX = "template"
# Seconds from a change to the write, so that one write covers many changes.
GATHER_SECONDS = 2.0
# Seconds between two writes of one template.
WRITE_SECONDS = 10.0
MAX_NAMES = 100


def templates_of(workflow: Workflow) -> set[str]:
    """The keys (`namespace/name`) of the templates that a workflow names."""
    namespace = workflow.metadata.namespace
    return {f"{namespace}/{name}" for name in workflow.spec.template_names}


def used_by(workflows: tuple[Workflow, ...]) -> UsedBy:
    """usedBy of a template that these workflows name: their number, and the first MAX_NAMES names, sorted."""
    names = [workflow.metadata.name for workflow in workflows if not workflow.metadata.is_deleting]
    return UsedBy(count=len(names), names=tuple(heapq.nsmallest(MAX_NAMES, names)))


class UsageReconciler:
    """Keeps usedBy of every template up to date. owns(key): whether this process may write; clock: in seconds."""

    def __init__(
        self,
        client: Client,
        workflows: Store[Workflow],
        templates: Store[WorkTemplate],
        owns: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._workflows = workflows
        self._templates = templates
        self._owns = owns
        self._clock = clock
        self._next_at: dict[str, float] = {}

    def reconcile(self, key: str) -> Result:
        """One reconcile of a template by `namespace/name`; it writes only if usedBy changed."""
        template = self._templates.get(key)
        if template is None:
            self._next_at.pop(key, None)
            return Drop()
        now = used_by(self._workflows.by_index(TEMPLATE_INDEX, key))
        if now == template.status.used_by or not self._owns(key):
            return Done()
        if (left := self._next_at.get(key, 0.0) - self._clock()) > 0:
            return Later(left, "usedBy was written a moment ago")
        body = msgspec.json.encode({"status": {"usedBy": {"count": now.count, "names": now.names}}})
        meta = template.metadata
        self._next_at[key] = self._clock() + WRITE_SECONDS
        try:
            written = self._client.patch(
                WORKTEMPLATES,
                meta.namespace,
                meta.name,
                body,
                content_type=MERGE_PATCH,
                type=WorkTemplate,
                subresource="status",
            )
        except (NotFound, Stopped):
            return Done()
        except KubeError as error:
            del self._next_at[key]
            return Again(f"the status of the template could not be written: {error}")
        # If the response contains an edit, also one of annotations alone, which may say who is responsible for it, the
        # watch event brings it, and its handler requeues the users.
        if msgspec.structs.replace(written.metadata, resource_version=meta.resource_version) == meta:
            self._templates.absorb(written)
        return Done()
