"""Finds pods by their owners: of kinds whose operator puts no label on them that we know, and of objects that stay.

A pod may be owned by the object itself, as that of a Tekton TaskRun, or by what the object owns: a Deployment owns a
ReplicaSet, and that its pods.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from pkg.apis.meta import GVR, OwnerReference, PartialObject
from pkg.kube.client import Client
from pkg.kube.errors import Forbidden, KubeError, NotServed, may_mean_not_served
from pkg.kube.pod_logs import PODS
from pkg.views.paging import read_all

#: Owners that are followed from a pod upwards.
_MAX_STEPS: Final = 4


class _Resource(msgspec.Struct, frozen=True):
    name: str = ""
    kind: str = ""


class _Resources(msgspec.Struct, frozen=True):
    """What the API server serves of one group and version."""

    resources: tuple[_Resource, ...] = ()


def pods_of(client: Client, namespace: str, roots: Collection[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The names of pods, with the uid of the root that each belongs to, and what could not be read, with the reason.

    roots: uids of objects. Only metadata is read. Raises KubeError if the pods cannot be listed.
    """
    pods = read_all(client, PODS, namespace, PartialObject, metadata_only=True)
    owners = {pod.metadata.uid: pod.metadata.owner_references for pod in pods}
    unread: list[str] = []
    asked: set[tuple[str, str]] = set()
    level = {reference for references in owners.values() for reference in references}
    for _ in range(_MAX_STEPS):
        kinds = {(one.api_version, one.kind) for one in level if one.uid not in roots and one.uid not in owners} - asked
        asked |= kinds
        level = set()
        for api_version, kind in sorted(kinds):
            gvr = _served(client, api_version, kind)
            if gvr is None:
                continue
            try:
                found = read_all(client, gvr, namespace, PartialObject, metadata_only=True)
            except Forbidden as error:
                unread.append(f"{gvr.group_resource}: {error.message}")
                continue
            except NotServed:  # of no namespace, as a Node
                continue
            for one in found:
                owners[one.metadata.uid] = one.metadata.owner_references
                level |= set(one.metadata.owner_references)
        if not level:
            break
    known = set(roots)
    return {
        pod.metadata.name: root
        for pod in pods
        if (root := root_of(pod.metadata.uid, owners, known)) is not None and root != pod.metadata.uid
    }, tuple(unread)


def root_of(uid: str, owners: Mapping[str, Iterable[OwnerReference]], roots: Collection[str]) -> str | None:
    """The first of `roots` among the object and its owners, theirs, and so on. Pure."""
    level, seen = [uid], {uid}
    while level:
        for one in level:
            if one in roots:
                return one
        level = [owner.uid for one in level for owner in owners.get(one, ()) if owner.uid not in seen]
        seen |= set(level)
    return None


def _served(client: Client, api_version: str, kind: str) -> GVR | None:
    """The resource of a kind; None if it is not served, or may not be asked for."""
    group, slash, version = api_version.rpartition("/")
    path = f"/apis/{group}/{version}" if slash else f"/api/{version}"
    try:
        found = client.get_path(path, _Resources)
    except Forbidden:
        return None
    except KubeError as error:
        if not may_mean_not_served(error):
            raise
        return None
    name = next((one.name for one in found.resources if one.kind == kind and "/" not in one.name), "")
    return GVR(group, version, name) if name else None
