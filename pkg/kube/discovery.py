"""Discovery: which resources the API server serves, cached per group and version.

Templates name resources, objects name kinds, and a resource's scope decides its URL. Kinds come and go with their CRDs,
so a negative answer is cached for a moment only.

A resource counts as not served only if a discovery document of the API server lacks it. A 404 alone proves nothing: a
proxy on the way answers the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec

from pkg.apis.meta import GVR, ObjectMeta
from pkg.kube.client import Client
from pkg.kube.errors import Forbidden, KubeError, NotServed, Transient, may_mean_not_served

QUIET_SECONDS = 30.0
"""No kind counts as gone within this time after a connection to the API server was lost."""
MAX_DOCUMENT = 64 * 1024 * 1024
"""Bytes of an OpenAPI document. That of the largest built-in group has about 1 MiB."""

_BUILT_IN_GROUPS = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)
CRDS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")


class Resource(msgspec.Struct, frozen=True):
    """A served resource: its name, the kind of its objects, whether it is namespaced, its verbs, and whether it has the
    subresource `status`.
    """

    name: str
    kind: str = ""
    namespaced: bool = False
    verbs: tuple[str, ...] = ()
    has_status: bool = False


class _ResourceList(msgspec.Struct, frozen=True):
    kind: str = ""
    resources: tuple[Resource, ...] | None = ()


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    group_version: str


class _Group(msgspec.Struct, frozen=True):
    versions: tuple[_Version, ...] = ()


class _GroupList(msgspec.Struct, frozen=True):
    kind: str = ""
    groups: tuple[_Group, ...] | None = ()


class _CRDVersion(msgspec.Struct, frozen=True):
    name: str
    served: bool = False


class _CRDSpec(msgspec.Struct, frozen=True):
    versions: tuple[_CRDVersion, ...] = ()


class _CRD(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()
    spec: _CRDSpec = _CRDSpec()

    def serves(self, version: str) -> bool:
        is_served = any(found.name == version and found.served for found in self.spec.versions)
        return is_served and not self.metadata.is_deleting


class _Failure(msgspec.Struct, frozen=True):
    at: float
    error: KubeError

    def again(self) -> KubeError:
        """A copy of the error: one instance raised by many threads would collect all their tracebacks."""
        old = self.error
        return type(old)(old.message, status=old.status, reason=old.reason, retry_after=old.retry_after)


class Discovery:
    """Looks up resources; asks the server only for what is not cached. Thread-safe."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Resource]] = {}
        self._read_at: dict[str, float] = {}
        self._failed: dict[str, _Failure] = {}
        self._groups: tuple[float, frozenset[str]] = (float("-inf"), frozenset())

    def resolve(self, gvr: GVR, *, absent_for: float = 2.0) -> Resource:
        """The served resource; NotServed if there is none, another KubeError if the server cannot say so now.

        Both failures are cached for `absent_for` seconds.
        """
        root = gvr.root
        now = self._clock()
        with self._lock:
            found = self._known.get(root, {}).get(gvr.resource)
            failure = self._failed.get(root)
            read_at = self._read_at.get(root)
        if found is not None:
            return found
        if failure is not None and now - failure.at < absent_for:
            raise failure.again()
        if read_at is None or now - read_at >= absent_for:
            found = self._fetch(gvr, absent_for).get(gvr.resource)
        if found is None:
            raise self._absent(gvr)
        return found

    def openapi(self, gvr: GVR) -> bytes | None:
        """The OpenAPI v3 document of the group and version; None if the server has none. Raises KubeError.

        Asks the server at each call.
        """
        try:
            return self._client.get_path(f"/openapi/v3{gvr.root}", bytes, max_body=MAX_DOCUMENT)
        except KubeError as error:
            if may_mean_not_served(error):
                return None
            raise

    def is_gone(self, gvr: GVR) -> bool:
        """Whether a resource that was served is certainly not served any more. KubeError if the server cannot say.

        Asks the server at each call. True only if the discovery documents lack the resource and no CRD defines it.
        Never true for built-in resources, nor within `QUIET_SECONDS` after the client lost a connection.
        """
        if is_built_in(gvr) or self._clock() - self._client.connection_lost_at < QUIET_SECONDS:
            return False
        return gvr.resource not in self._listed(gvr) and not self._is_defined(gvr)

    def refresh(self, gvr: GVR) -> None:
        """Drop the cache of the group and version; the next `resolve` asks the server."""
        with self._lock:
            self._known.pop(gvr.root, None)
            self._read_at.pop(gvr.root, None)
            self._failed.pop(gvr.root, None)

    def _fetch(self, gvr: GVR, max_age: float) -> dict[str, Resource]:
        try:
            resources = self._listed(gvr, max_age)
        except KubeError as error:
            # An aggregated API whose backend is down answers 503; that does not mean that its resources are gone.
            self._remember(gvr.root, {}, error)
            raise
        self._remember(gvr.root, resources, None)
        return resources

    def _listed(self, gvr: GVR, max_age: float = 0.0) -> dict[str, Resource]:
        """The resources of the group and version by the API server's documents, empty if it does not serve these.

        The list of groups may be `max_age` seconds old.
        """
        try:
            listed = self._client.get_path(gvr.root, _ResourceList)
        except KubeError as error:
            if not may_mean_not_served(error):
                raise
            if not gvr.group or self._is_group_listed(gvr, max_age):
                message = f"GET {gvr.root} answers 404, but the API server lists the group"
                raise Transient(message, reason="Unrecognized") from error
            return {}
        _require_kind(listed.kind, "APIResourceList", gvr.root)
        resources = listed.resources or ()
        names = {resource.name for resource in resources}
        return {
            resource.name: msgspec.structs.replace(resource, has_status=f"{resource.name}/status" in names)
            for resource in resources
            if "/" not in resource.name
        }

    def _is_group_listed(self, gvr: GVR, max_age: float) -> bool:
        now = self._clock()
        read_at, served = self._groups
        if now - read_at >= max_age:
            try:
                listed = self._client.get_path("/apis", _GroupList)
            except NotServed as error:
                raise Transient(f"GET /apis: {error}; every API server has it", reason="Unrecognized") from error
            _require_kind(listed.kind, "APIGroupList", "/apis")
            served = frozenset(version.group_version for group in listed.groups or () for version in group.versions)
            self._groups = (now, served)
        return gvr.api_version in served

    def _is_defined(self, gvr: GVR) -> bool:
        """Whether a CRD defines and serves the resource; False also without the permission to list CRDs."""
        selector = f"metadata.name={gvr.resource}.{gvr.group}"
        try:
            found = self._client.list_page(CRDS, None, _CRD, field_selector=selector)
        except Forbidden:
            return False
        return any(crd.serves(gvr.version) for crd in found.items)

    def _remember(self, root: str, resources: dict[str, Resource], error: KubeError | None) -> None:
        now = self._clock()
        with self._lock:
            self._known[root] = resources
            self._read_at[root] = now
            if error is None:
                self._failed.pop(root, None)
            else:
                self._failed[root] = _Failure(now, error)

    def _absent(self, gvr: GVR) -> NotServed:
        return NotServed(
            f"the API server does not serve {gvr.resource} in {gvr.api_version}; is its CRD installed?",
            status=404,
            reason="NotServed",
        )


def is_built_in(gvr: GVR) -> bool:
    """Whether the API server itself serves the group, without a CRD: no such resource ever goes away."""
    return gvr.group in _BUILT_IN_GROUPS


def _require_kind(kind: str, wanted: str, path: str) -> None:
    if kind != wanted:
        raise Transient(f"{path}: the response is no {wanted} of the API server", reason="Unrecognized")
