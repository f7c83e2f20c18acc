"""The calls of the API that a plan for a CronWorkflow leads to. Each asks first whether this process still leads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1 import labels, people
from pkg.apis.flow.v1alpha1.cron_runs import cron_of, run_manifest
from pkg.apis.flow.v1alpha1.people import PeopleFault
from pkg.apis.flow.v1alpha1.types import CRONWORKFLOWS, WORKFLOWS, CronWorkflow, Shutdown, Workflow
from pkg.controllers.cronworkflow.planner.actions import CreateRun, DeleteRun, TerminateRun
from pkg.kube.client import MERGE_PATCH, Client
from pkg.kube.errors import Conflict, Exists, NotFound, Stopped


class NameTaken(Exception):
    """Another Workflow has the name of a run; the message names it."""


class Calls:
    """owns(key): whether this process may write for a CronWorkflow now."""

    def __init__(self, client: Client, owns: Callable[[str], bool]) -> None:
        self._client = client
        self._owns = owns

    def create(self, cron: CronWorkflow, action: CreateRun) -> tuple[Workflow, bool]:
        """The run, and whether this call made it. Raises NameTaken, and KubeError.

        If the name is taken, the object is read: an earlier call has made it if it has the CronWorkflow as its
        controller.
        """
        self._check(cron)
        manifest = run_manifest(cron, scheduled=action.scheduled, name=action.name, annotations=_behind(cron))
        body = msgspec.json.encode(manifest)
        namespace = cron.metadata.namespace
        try:
            return self._client.create(WORKFLOWS, namespace, body, Workflow), True
        except Exists:
            found = self._client.get(WORKFLOWS, namespace, action.name, Workflow)
        owner = cron_of(found.metadata)
        if owner is not None and owner.uid == cron.metadata.uid:
            return found, False
        raise NameTaken(
            f'another Workflow has the name "{action.name}" (uid {found.metadata.uid}); delete or rename it, and the'
            " run is made unless a later one is due"
        )

    def terminate(self, cron: CronWorkflow, action: TerminateRun) -> Workflow | None:
        """The run with spec.shutdown Terminate; None if it is gone."""
        self._check(cron)
        body = msgspec.json.encode({"metadata": {"uid": action.uid}, "spec": {"shutdown": Shutdown.TERMINATE.value}})
        try:
            return self._client.patch(
                WORKFLOWS, cron.metadata.namespace, action.name, body, content_type=MERGE_PATCH, type=Workflow
            )
        except (NotFound, Conflict):
            return None

    def delete(self, cron: CronWorkflow, action: DeleteRun) -> None:
        """Deletes a run; one that is gone counts as deleted. Conflict if it has changed since."""
        self._check(cron)
        name, version = action.name, action.version
        with suppress(NotFound):
            self._client.delete(WORKFLOWS, cron.metadata.namespace, name, uid=action.uid, resource_version=version)

    def patch_status(self, cron: CronWorkflow, patch: dict[str, Any]) -> CronWorkflow:
        """Writes the status; Conflict if the plan was made from an older copy."""
        self._check(cron)
        meta = cron.metadata
        return self._client.patch(
            CRONWORKFLOWS,
            meta.namespace,
            meta.name,
            msgspec.json.encode(patch),
            content_type=MERGE_PATCH,
            type=CronWorkflow,
            subresource="status",
        )

    def _check(self, cron: CronWorkflow) -> None:
        if not self._owns(cron.metadata.key):
            raise Stopped(f"this process does not lead any more, so it writes nothing for {cron.metadata.key}")


def _behind(cron: CronWorkflow) -> dict[str, str]:
    """The annotations that say who is behind a run, and how many Workflows are above it."""
    notes = cron.metadata.annotations
    try:
        found = people.of_run(notes)
    except PeopleFault:
        found = {}  # nobody is known, so the jobs of the run wait, where rights are asked for
    return {**found, **({labels.DEPTH: notes[labels.DEPTH]} if labels.DEPTH in notes else {})}
