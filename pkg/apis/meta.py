"""The Kubernetes metadata that every kind shares, reduced to the fields that this program reads.

Unknown fields are ignored: the API server has validated what it serves.
"""

from __future__ import annotations

import functools
import itertools
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta

from pkg.apis.shared_texts import OURS, share_meta, share_owner

if TYPE_CHECKING:
    Status = dict[str, Any]
else:
    Status = Any  # any JSON value decodes: see Job


#: So many labels, annotations, finalizers or owners of one object are kept.
MAX_ENTRIES: Final = 1_000
_BUILT_IN: Final = frozenset({"orphan", "foregroundDeletion"})  # finalizers that say how an object is deleted


class GVR(msgspec.Struct, frozen=True, gc=False, order=True):
    """Group, version and resource (the plural) of a served kind; the core group is the empty string."""

    group: str = ""
    version: str = ""
    resource: str = ""

    def __str__(self) -> str:
        return f"{self.resource}.{self.version}.{self.group}" if self.group else f"{self.resource}.{self.version}"

    @classmethod
    def parse(cls, text: str) -> GVR:
        """The reverse of `str`: `jobs.v1.batch`, or `pods.v1` of the core group."""
        resource, _, rest = text.partition(".")
        version, _, group = rest.partition(".")
        return cls(group=group, version=version, resource=resource)

    @property
    def group_resource(self) -> str:
        """`resource.group`, or the resource alone for the core group: how metrics and the API server name a kind."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def api_version(self) -> str:
        """`group/version` as objects carry it, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """URL path of the group and version, without a trailing slash."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """URL path of the collection, of one object, or of a subresource of one object."""
        parts = [self.root]
        if namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.resource)
        if name:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


_set = msgspec.structs.force_setattr


class OwnerReference(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """An owner of an object; at most one owner has `controller` set."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False

    def __post_init__(self) -> None:
        share_owner(self)


class ObjectMeta(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """Standard object metadata; absent fields read as empty.

    The API server does not limit how many labels, annotations, finalizers and owners there are. MAX_ENTRIES of each are
    kept, and those that this program looks for. `left_out` is the number of dropped bytes.
    """

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    #: Seconds; already part of the deletion timestamp.
    deletion_grace_period_seconds: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()
    # No API object has a field of this name, so decoding never sets it.
    left_out: int = msgspec.field(default=0, name="~leftOut")

    def __post_init__(self) -> None:
        if (
            len(self.labels) > MAX_ENTRIES
            or len(self.annotations) > MAX_ENTRIES
            or len(self.finalizers) > MAX_ENTRIES
            or len(self.owner_references) > MAX_ENTRIES
        ):
            self._leave_out()
        share_meta(self)

    def _leave_out(self) -> None:
        for name in ("labels", "annotations", "finalizers", "owner_references"):
            entries = getattr(self, name)
            if len(entries) > MAX_ENTRIES:
                kept = _first_entries(entries)
                dropped = len(msgspec.json.encode(entries)) - len(msgspec.json.encode(kept))
                _set(self, name, kept)
                _set(self, "left_out", self.left_out + dropped)

    @property
    def key(self) -> str:
        """`namespace/name`, or the name alone for a cluster-scoped object."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def controller(self) -> OwnerReference | None:
        """The owner reference with `controller: true`, if there is one."""
        return next((owner for owner in self.owner_references if owner.controller), None)

    @property
    def is_deleting(self) -> bool:
        return self.deletion_timestamp is not None


def _first_entries(entries: dict[str, str] | tuple[Any, ...]) -> dict[str, str] | tuple[Any, ...]:
    """The first MAX_ENTRIES, and after them those that must not be lost."""
    if isinstance(entries, dict):
        ours = (key for key in entries if key.startswith(OURS))
        return {key: entries[key] for key in (*itertools.islice(entries, MAX_ENTRIES), *ours)}
    needed = (entry for entry in entries[MAX_ENTRIES:] if entry in _BUILT_IN or getattr(entry, "controller", False))
    return (*entries[:MAX_ENTRIES], *needed)


class Condition(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A standard `metav1.Condition`."""

    type: Annotated[
        str,
        Meta(description="Which condition it is: Decided, Finished, Succeeded, Suspended or Blocked of a Workflow."),
    ]
    status: Annotated[str, Meta(description="True, False or Unknown.")] = "Unknown"
    reason: Annotated[str, Meta(description="Why, in one word.")] = ""
    message: Annotated[str, Meta(description="Why, for people.")] = ""
    last_transition_time: Annotated[str, Meta(description="When status changed last (RFC 3339).")] = ""
    observed_generation: Annotated[int, Meta(description="The metadata.generation that it is about.")] = 0


Scalar = str | int | float | bool | None


class ReplicaGroup(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One of a JobSet's `replicatedJobs`, without its bulky template."""

    name: Any = ""
    replicas: Any = None


class RunPolicy(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """Where Kubeflow's kinds keep their `suspend`."""

    suspend: Any = None


class ObservedSpec(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The few fields of a job's spec that reading its state needs.

    A custom resource may use these names for values of any type, so any type decodes: an unexpected one must not make
    the object unreadable.
    """

    replicas: Any = None
    suspend: Any = None
    replicated_jobs: tuple[ReplicaGroup | list[Any] | Scalar, ...] | dict[str, Any] | Scalar = None
    run_policy: RunPolicy | list[Any] | Scalar = None


_NO_SPEC: Final = ObservedSpec()


class Job(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A job of any kind as the cache holds it: metadata, the observed part of the spec, and the whole status.

    A status that is not an object (some custom resources write a string, or null) reads as empty. A job that could not
    be decoded would never be seen to finish, or to be deleted.
    """

    metadata: ObjectMeta
    api_version: str = ""
    kind: str = ""
    spec: ObservedSpec = ObservedSpec()
    status: Status = {}

    def __post_init__(self) -> None:
        if type(self.status) is not dict:
            _set(self, "status", {})
        _set(self, "api_version", sys.intern(self.api_version))
        _set(self, "kind", sys.intern(self.kind))
        if self.spec == _NO_SPEC:
            _set(self, "spec", _NO_SPEC)


class WholeJob(Job, frozen=True, rename="camel"):
    """A job whose whole spec is kept, for kinds whose status rules read it; otherwise it is used like any Job."""

    # Filled from `document`. No API object has a field of this name, so decoding never sets it.
    spec: ObservedSpec = msgspec.field(default=ObservedSpec(), name="~spec")
    document: dict[str, Any] = msgspec.field(default_factory=dict, name="spec")

    def __post_init__(self) -> None:
        super().__post_init__()
        _set(self, "spec", msgspec.convert(self.document, ObservedSpec))


class ForeignObject(WholeJob, frozen=True, rename="camel"):
    """An object that a task applied, or deletes. It belongs to no Workflow, and nothing on it says so."""

    @property
    def selector(self) -> dict[str, str]:
        """The labels by which it selects its pods: `spec.selector`, with or without matchLabels; empty without them.

        With matchExpressions it is empty too: labels alone would select more pods.
        """
        found = self.document.get("selector")
        if isinstance(found, dict) and "matchExpressions" in found:
            return {}
        found = found.get("matchLabels", found) if isinstance(found, dict) else {}
        is_plain = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
        return found if is_plain else {}


class PartialObject(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Metadata alone, as `PartialObjectMetadata` serves it."""

    metadata: ObjectMeta
    api_version: str = ""
    kind: str = ""


class ListMeta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Metadata of a list: the version it was read at and the token of the next page."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


@functools.lru_cache(maxsize=4096)
def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with microseconds, from seconds since the epoch. Cached: a status has each time many times."""
    # Twice as fast as strftime, which matters for thousands of flows.
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def seconds(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time."""
    return datetime.fromisoformat(text).timestamp()
