"""Sends what an action changes."""

from __future__ import annotations

import msgspec

from pkg.apis.flow.v1alpha1.types import WORKFLOWS
from pkg.apis.meta import PartialObject
from pkg.kube.client import MERGE_PATCH, Client
from pkg.views.actions import Change
from pkg.views.briefs import Brief


def send(client: Client, brief: Brief, change: Change) -> None:
    """Changes the fields of the spec. Raises KubeError; Conflict if the name belongs to another workflow by now."""
    meta = brief.metadata
    # The uid: a workflow of the same name that was made meanwhile is another one.
    body = msgspec.json.encode({"metadata": {"uid": meta.uid}, "spec": change.fields})
    client.patch(
        WORKFLOWS, meta.namespace, meta.name, body, content_type=MERGE_PATCH, type=PartialObject, metadata_only=True
    )
