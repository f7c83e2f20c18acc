"""Workflows as far as actions on them need to know them, page by page: a workflow of 5,000 flows costs little here."""

from __future__ import annotations

import msgspec

from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Shutdown
from pkg.kube.client import Client
from pkg.views.paging import read_all


class BriefMeta(msgspec.Struct, frozen=True, rename="camel"):
    """Times are text, as the API server writes them; empty for none."""

    name: str
    namespace: str
    uid: str
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str = ""


class BriefRestart(msgspec.Struct, frozen=True):
    at: str = ""


class BriefSpec(msgspec.Struct, frozen=True):
    suspend: bool | None = False
    shutdown: Shutdown | None = None
    restart: BriefRestart | None = None


class BriefRecord(msgspec.Struct, frozen=True, rename="camel"):
    restarted_at: str = ""


class BriefStatus(msgspec.Struct, frozen=True, rename="camel"):
    phase: WorkflowPhase | None = None
    reason: str = ""
    message: str = ""
    progress: str = ""
    completion_time: str = ""
    record: BriefRecord | None = None
    #: Where an older controller recorded it.
    restarted_at: str = ""


class Brief(msgspec.Struct, frozen=True):
    """One Workflow. Flows are passed over when it is read."""

    metadata: BriefMeta
    spec: BriefSpec = BriefSpec()
    status: BriefStatus = BriefStatus()

    @property
    def phase(self) -> WorkflowPhase:
        return self.status.phase or WorkflowPhase.PENDING

    @property
    def is_final(self) -> bool:
        """Whether it has ended, and no restart is asked for that begins in a moment."""
        return self.phase.is_final and not self.is_restart_due

    @property
    def is_restart_due(self) -> bool:
        asked = self.spec.restart.at if self.spec.restart is not None else ""
        record = self.status.record
        return asked not in ("", self.status.restarted_at if record is None else record.restarted_at)

    @property
    def is_deleting(self) -> bool:
        return bool(self.metadata.deletion_timestamp)


def read_brief(client: Client, namespace: str, name: str) -> Brief:
    """One workflow. Raises KubeError."""
    return client.get(WORKFLOWS, namespace, name, Brief)


def list_briefs(client: Client, namespace: str | None, *, label_selector: str = "") -> list[Brief]:
    """The workflows of a namespace, or of all. Raises KubeError."""
    return read_all(client, WORKFLOWS, namespace, Brief, label_selector=label_selector)
