"""Small objects for the engine's tests: metadata, and a status word to tell one state from another."""

from __future__ import annotations

import msgspec

from pkg.apis.meta import GVR, ObjectMeta

THINGS = GVR("test.io", "v1", "things")


class Thing(msgspec.Struct, frozen=True):
    """An object of the resource `THINGS`."""

    metadata: ObjectMeta
    status: dict[str, str] = {}


def thing(name: str, rv: int, *, uid: str = "", labels: dict[str, str] | None = None, state: str = "") -> Thing:
    """A thing in namespace `ns`; its uid is `uid-<name>` unless given."""
    meta = ObjectMeta(
        name=name, namespace="ns", uid=uid or f"uid-{name}", resource_version=str(rv), labels=labels or {}
    )
    return Thing(meta, {"state": state} if state else {})
