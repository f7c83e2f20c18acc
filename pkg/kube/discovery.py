"""Discovery: which resources the API server serves, cached per group and version.

Templates name resources, objects name kinds, and a resource's scope decides its URL. Kinds come and go with their CRDs,
so a negative answer is cached for a moment only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec

from pkg.apis.meta import GVR
from pkg.kube.client import Client
from pkg.kube.errors import KubeError, NotFound, NotServed


class Resource(msgspec.Struct, frozen=True):
    """A served resource: its name, the kind of its objects, whether it is namespaced, and its verbs."""

    name: str
    kind: str = ""
    namespaced: bool = False
    verbs: tuple[str, ...] = ()


class _ResourceList(msgspec.Struct, frozen=True):
    resources: tuple[Resource, ...] | None = ()


class _Schema(msgspec.Struct, frozen=True):
    """The parts of an OpenAPI schema that name its kinds and its fields."""

    kinds: tuple[dict[str, str], ...] = msgspec.field(default=(), name="x-kubernetes-group-version-kind")
    properties: dict[str, msgspec.Raw] = {}
    is_open: bool = msgspec.field(default=False, name="x-kubernetes-preserve-unknown-fields")


class _Components(msgspec.Struct, frozen=True):
    schemas: dict[str, _Schema] = {}


class _OpenAPI(msgspec.Struct, frozen=True):
    components: _Components = _Components()


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
            raise failure.again() if not isinstance(failure.error, NotFound) else self._absent(gvr)
        if read_at is None or now - read_at >= absent_for:
            found = self._fetch(gvr).get(gvr.resource)
        if found is None:
            raise self._absent(gvr)
        return found

    def has_spec(self, gvr: GVR, kind: str) -> bool | None:
        """Whether the server's OpenAPI gives objects of the kind a `.spec`; None if it does not describe the kind.

        Asks the server at each call. Raises KubeError.
        """
        try:
            found = self._client.get_path(f"/openapi/v3{gvr.root}", _OpenAPI)
        except NotFound:
            return None
        wanted = {"group": gvr.group, "version": gvr.version, "kind": kind}
        for schema in found.components.schemas.values():
            if wanted in schema.kinds:
                return "spec" in schema.properties or schema.is_open
        return None

    def refresh(self, gvr: GVR) -> None:
        """Drop the cache of the group and version; the next `resolve` asks the server."""
        with self._lock:
            self._known.pop(gvr.root, None)
            self._read_at.pop(gvr.root, None)
            self._failed.pop(gvr.root, None)

    def _fetch(self, gvr: GVR) -> dict[str, Resource]:
        try:
            listed = self._client.get_path(gvr.root, _ResourceList)
        except NotFound as error:
            self._remember(gvr.root, {}, error)
            raise self._absent(gvr) from error
        except KubeError as error:
            # An aggregated API whose backend is down answers 503; that does not mean that its resources are gone.
            self._remember(gvr.root, {}, error)
            raise
        resources = {resource.name: resource for resource in listed.resources or () if "/" not in resource.name}
        self._remember(gvr.root, resources, None)
        return resources

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
