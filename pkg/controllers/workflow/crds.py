"""Watches custom resource definitions, by their metadata alone: whole CRDs would be megabytes.

A CRD's deletion is seen here before its objects vanish, so that the controller knows why they vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from pkg.apis.meta import GVR, PartialObject
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.listwatch import ReflectorMetrics
from pkg.controllers.engine.reflector_options import EventHandlers
from pkg.kube.client import Client, Page
from pkg.kube.watch import Watch


class MetadataOnly:
    """The two calls of a reflector, asking the API server for metadata alone."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list_page(
        self,
        gvr: GVR,
        namespace: str | None,
        type: type[msgspec.Raw],  # noqa: A002 - as the client calls it
        *,
        label_selector: str = "",
        limit: int = 500,
        continue_: str = "",
        resource_version: str | None = None,
    ) -> Page[msgspec.Raw]:
        return self._client.list_page(
            gvr,
            namespace,
            type,
            label_selector=label_selector,
            limit=limit,
            continue_=continue_,
            resource_version=resource_version,
            metadata_only=True,
        )

    def watch(
        self,
        gvr: GVR,
        namespace: str | None,
        *,
        label_selector: str = "",
        resource_version: str,
        timeout_seconds: int,
        read_timeout: float,
    ) -> Watch:
        return self._client.watch(
            gvr,
            namespace,
            label_selector=label_selector,
            resource_version=resource_version,
            timeout_seconds=timeout_seconds,
            read_timeout=read_timeout,
            metadata_only=True,
        )


def crd_informer(
    client: Client, on_change: Callable[[str, bool], None], metrics: ReflectorMetrics | None
) -> InformerSet[PartialObject]:
    """An informer of CRDs, not started. on_change(name, is_deleting): `plural.group`, and whether it is being deleted.

    Without permission to list CRDs it stays empty. Kinds are then found by repeated discovery.
    """

    def on_deltas(_gvr: GVR, deltas: Sequence[Delta[PartialObject]]) -> None:
        for delta in deltas:
            on_change(delta.key, delta.new is not None and delta.new.metadata.is_deleting)

    return InformerSet(MetadataOnly(client), None, PartialObject, EventHandlers(on_deltas), metrics=metrics)
