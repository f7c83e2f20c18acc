"""Lets equal texts of many objects share one value in memory, as the objects are decoded.

It runs for each object that a watch shows, so it is compiled; the classes that JSON is decoded into cannot be compiled.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from pkg.apis.meta import ObjectMeta, OwnerReference

#: Labels and annotations of this project begin so.
OURS: Final = "flow.workflow.sh/"
_NO_ENTRIES: Final[dict[str, str]] = {}
_set = msgspec.structs.force_setattr
_intern = sys.intern


def share_owner(owner: OwnerReference) -> None:
    """The texts of an owner reference: all jobs of a workflow have the same."""
    _set(owner, "api_version", _intern(owner.api_version))
    _set(owner, "kind", _intern(owner.kind))
    _set(owner, "name", _intern(owner.name))
    _set(owner, "uid", _intern(owner.uid))


def share_meta(meta: ObjectMeta) -> None:
    """The namespace, the labels, and the annotations of this project: long texts that many objects have."""
    _set(meta, "namespace", _intern(meta.namespace))
    labels, annotations = meta.labels, meta.annotations
    if labels:
        _set(meta, "labels", {key: _intern(value) for key, value in labels.items()})
    if not annotations:
        _set(meta, "annotations", _NO_ENTRIES)
        return
    ours = [key for key in annotations if key.startswith(OURS)]
    if ours:
        shared = dict(annotations)
        for key in ours:
            shared[key] = _intern(shared[key])
        _set(meta, "annotations", shared)
