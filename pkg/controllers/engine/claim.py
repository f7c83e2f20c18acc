"""Notices another controller that acts on the same workflows with another Lease, so that this one stays out.

An annotation of the CRD of Workflows names the Lease by which a controller acts. Every controller can read it, and
whoever may create Workflows cannot write it. A claim counts only while its Lease is being renewed: it names no process,
so a restart keeps nobody out, nor does a claim that was restored from a backup, or whose Lease has moved.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import structlog

from pkg.apis.meta import GVR, PartialObject
from pkg.controllers.engine.lease import LeaseOptions, LeaseRecord, Observed, observe
from pkg.kube.discovery import CRDS
from pkg.kube.errors import Conflict, Forbidden, KubeError, NotFound

LEASES: Final = GVR("coordination.k8s.io", "v1", "leases")
CRD: Final = "workflows.flow.workflow.sh"
#: The claim of a controller that acts on all namespaces; followed by a namespace, of one that acts on that alone.
ALL: Final = "flow.workflow.sh/controller"
ONE: Final = "namespace.flow.workflow.sh/"
#: A Lease that names no duration, or a longer one, counts as expired after so many seconds.
DEFAULT_SECONDS: Final = 15.0
MAX_SECONDS: Final = 60.0
_TRIES: Final = 3
_MERGE_PATCH: Final = "application/merge-patch+json"
_ADVICE: Final = (
    "stop one of the two, or give both the same --leader-elect-resource-namespace and --leader-elect-resource-name;"
    " with --exclusive=false a controller takes no notice of others"
)
_log = structlog.get_logger("engine.claim")


class ClaimApi(Protocol):
    """The part of `pkg.kube.client.Client` that a Claim uses."""

    def get(self, gvr: GVR, namespace: str | None, name: str, type: Any, *, metadata_only: bool = False) -> Any:  # noqa: A002
        """Read an object."""

    def patch(
        self,
        gvr: GVR,
        namespace: str | None,
        name: str,
        body: bytes,
        *,
        content_type: str,
        type: Any,  # noqa: A002
        metadata_only: bool = False,
    ) -> Any:
        """Change an object."""


class LeaseName(NamedTuple):
    """A Lease as a claim names it."""

    namespace: str
    name: str
    uid: str

    @classmethod
    def parse(cls, text: str) -> LeaseName | None:
        """The reverse of `str`; None for anything else."""
        parts = text.split("/")
        return cls(*parts) if len(parts) == 3 and all(parts) else None

    def __str__(self) -> str:
        return "/".join(self)


@dataclass(frozen=True, slots=True)
class Rival:
    """Another controller, by its Lease. is_certain: the Lease was renewed while this process watched it."""

    lease: LeaseName
    holder: str
    is_certain: bool

    def report(self) -> tuple[str, dict[str, str]]:
        """A line for the log, and its fields."""
        fields = {"other_lease": f"{self.lease.namespace}/{self.lease.name}", "other_holder": self.holder}
        if not self.is_certain:
            return "waits to see whether another controller still renews its Lease", fields
        return "another controller acts on these workflows, so this one does not", {**fields, "advice": _ADVICE}


def own_key(scope: str) -> str:
    """The annotation of a controller; scope: its namespace, empty for all."""
    return f"{ONE}{scope}" if scope else ALL


def overlapping(annotations: Mapping[str, str], scope: str) -> Iterator[tuple[str, LeaseName]]:
    """The claims of controllers that act on a namespace of this scope, each with its annotation."""
    for key, text in annotations.items():
        is_namespaced = key.startswith(ONE)
        concerns = key == ALL or key == own_key(scope) or (is_namespaced and not scope)
        if concerns and (lease := LeaseName.parse(text)) is not None:
            yield key, lease


class Claim:
    """The claim of one controller. Its methods raise KubeError, except where permissions are missing: then they log
    that once, and do without. scope: the namespace that it acts on, empty for all; clock: steady, in seconds.
    """

    def __init__(self, client: ClaimApi, options: LeaseOptions, scope: str, clock: Callable[[], float]) -> None:
        self._client = client
        self._own = (options.namespace, options.name)
        self._scope = scope
        self._clock = clock
        self._first: dict[LeaseName, LeaseRecord] = {}
        self._seen: dict[LeaseName, Observed] = {}
        self._reported: set[str] = set()
        self._lock = threading.Lock()

    def rival(self) -> Rival | None:
        """Another controller that may act now; None if there is none."""
        with self._lock:
            crd = self._read()
            return self._find(crd) if crd is not None else None

    def take(self, uid: str) -> Rival | None:
        """Claims the workflows for the Lease of this process, which has that uid; the rival if there is one."""
        with self._lock:
            return self._take(uid)

    def _take(self, uid: str) -> Rival | None:
        error: KubeError | None = None
        for _ in range(_TRIES):
            crd = self._read()
            if crd is None or (rival := self._find(crd)) is not None:
                return None if crd is None else rival
            try:
                self._write(crd, LeaseName(*self._own, uid))
            except Conflict as conflict:
                error = conflict  # another process has changed the CRD, perhaps to claim it
                continue
            except Forbidden as forbidden:
                self._report_missing("patch", f"customresourcedefinitions/{CRD}", forbidden)
            return None
        assert error is not None
        raise error

    def _read(self) -> PartialObject | None:
        try:
            found: PartialObject = self._client.get(CRDS, None, CRD, PartialObject, metadata_only=True)
        except NotFound:
            return None
        except Forbidden as error:
            self._report_missing("get", f"customresourcedefinitions/{CRD}", error)
            return None
        return found

    def _find(self, crd: PartialObject) -> Rival | None:
        named = [lease for _, lease in overlapping(crd.metadata.annotations, self._scope)]
        # A rival that was seen to renew counts although somebody has removed its claim: it claims again in a moment.
        renewing = [lease for lease in self._seen if self._seen[lease].record != self._first[lease]]
        for lease in dict.fromkeys((*named, *renewing)):
            if (lease.namespace, lease.name) != self._own and (rival := self._look(lease)) is not None:
                return rival
        return None

    def _look(self, lease: LeaseName) -> Rival | None:
        """The controller that renews a Lease, None if nobody does."""
        record = self._record(lease)
        if record is None or not record.holder_identity:
            self._seen.pop(lease, None)
            self._first.pop(lease, None)
            return None
        now = self._clock()
        self._first.setdefault(lease, record)
        seen = self._seen[lease] = observe(self._seen.get(lease), record, now)
        if now - seen.at >= min(record.lease_duration_seconds or DEFAULT_SECONDS, MAX_SECONDS):
            self._first[lease] = record
            return None
        return Rival(lease, record.holder_identity, record != self._first[lease])

    def _record(self, lease: LeaseName) -> LeaseRecord | None:
        try:
            found = self._client.get(LEASES, lease.namespace, lease.name, dict)
        except NotFound:
            return None
        except Forbidden as error:
            self._report_missing("get", f"leases in namespace {lease.namespace}", error)
            return None
        if found.get("metadata", {}).get("uid") != lease.uid:
            return None
        try:
            return msgspec.convert(found.get("spec") or {}, LeaseRecord)
        except msgspec.ValidationError:
            return None

    def _write(self, crd: PartialObject, lease: LeaseName) -> None:
        """Names this Lease instead of others, which nobody renews; writes nothing if it is named already."""
        annotations = crd.metadata.annotations
        others = [key for key, _ in overlapping(annotations, self._scope)]
        change: dict[str, str | None] = {**dict.fromkeys(others), own_key(self._scope): str(lease)}
        if all(annotations.get(key) == text for key, text in change.items()):
            return
        metadata = {"resourceVersion": crd.metadata.resource_version, "annotations": change}
        self._client.patch(
            CRDS,
            None,
            CRD,
            msgspec.json.encode({"metadata": metadata}),
            content_type=_MERGE_PATCH,
            type=PartialObject,
            metadata_only=True,
        )

    def _report_missing(self, verb: str, what: str, error: KubeError) -> None:
        if (line := f"{verb} {what}") not in self._reported:
            self._reported.add(line)
            _log.warning(
                "a second controller with another Lease would not be noticed, because a permission is missing",
                permission=line,
                error=str(error),
                advice="installer/controller/20-controller-role.yaml has it",
            )
