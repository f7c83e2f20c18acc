"""What the cluster says of kinds: their names, and the types of their fields. Somebody waits for the answer."""

from __future__ import annotations

from collections.abc import Iterable

from pkg.apis.flow.v1alpha1.bare import is_bare
from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Schema
from pkg.apis.meta import GVR
from pkg.apis.openapi import DocumentError, read
from pkg.kinds.kind import Kind
from pkg.kube.client import Client
from pkg.kube.discovery import Discovery
from pkg.kube.errors import NotServed
from pkg.workloads import rules_for


def served_kinds(client: Client, gvrs: Iterable[GVR]) -> dict[GVR, Kind | None]:
    """The kinds by resource; None for one that is not served. Raises KubeError."""
    discovery = Discovery(client)
    found: dict[GVR, Kind | None] = {}
    for gvr in dict.fromkeys(gvrs):
        try:
            resource = discovery.resolve(gvr)
        except NotServed:
            found[gvr] = None
        else:
            schema = _schema(discovery, gvr, resource.kind)
            row = rules_for(gvr)
            has_spec = not is_bare(gvr, None if row.resource else schema)
            found[gvr] = Kind(resource.kind, row, has_status=resource.has_status, schema=schema, has_spec=has_spec)
    return found


def _schema(discovery: Discovery, gvr: GVR, kind: str) -> Schema:
    """The types of the fields, or none where the controller would find none either."""
    document = discovery.openapi(gvr)
    try:
        described = read(document, group=gvr.group, version=gvr.version, kind=kind) if document is not None else None
    except DocumentError:
        return NO_SCHEMA
    return NO_SCHEMA if described is None or described.is_too_large else described.schema
