"""A typed client of the Kubernetes API: one method per verb.

Bodies are bytes or msgspec types, so each caller decodes only the fields it uses. The generated client builds whole
models and costs many times the CPU.
"""

# ruff: noqa: A002 - the parameter that says what to decode into is best called `type`.
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from pkg.apis.meta import GVR, ListMeta
from pkg.kube.answers import decoded, document_of, object_of, unrecognized
from pkg.kube.config import ClientConfig
from pkg.kube.decoding import NAMED, build_decoder
from pkg.kube.errors import Transient
from pkg.kube.json_depth import elements, members
from pkg.kube.pod_logs import LogOptions, PodLog, open_log
from pkg.kube.request_parts import body_of, checked_path, path_of, query_of, query_of_write
from pkg.kube.transport import MAX_BODY, Observer, Request, Transport
from pkg.kube.warning_headers import heard
from pkg.kube.watch import Watch

T = TypeVar("T")

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_LIST_DECODERS: dict[object, msgspec.json.Decoder[Any]] = {}
#: Bytes of a page of a list above which a smaller page is asked for.
_LIST_BODY = 32 * 1024 * 1024
#: The first page where a list does not fit into one response.
_ALL = 500


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a LIST: its objects, its resourceVersion, and the token of the next page (empty on the last)."""

    items: list[T]
    resource_version: str
    continue_: str


class _List(msgspec.Struct, Generic[T], frozen=True):
    metadata: ListMeta = ListMeta()
    items: list[T] | msgspec.UnsetType | None = msgspec.UNSET


class Client:
    """A thread-safe client of one API server. Every method raises `pkg.kube.errors.KubeError` and nothing else.

    `timeout` is the limit of a whole call, in seconds. `qps` and `burst` limit the calls per second (0: no limit).
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        user_agent: str,
        pool_size: int = 32,
        timeout: float = 10.0,
        qps: float = 0,
        burst: int = 0,
    ) -> None:
        self._transport = Transport(
            config, user_agent=user_agent, pool_size=pool_size, timeout=timeout, qps=qps, burst=burst
        )
        self._page_limits: dict[GVR, int] = {}
        self.namespace = config.namespace
        self.server = config.shown_server

    def get(self, gvr: GVR, namespace: str | None, name: str, type: type[T], *, metadata_only: bool = False) -> T:
        """GET one object."""
        accept = _METADATA if metadata_only else "application/json"
        request = Request("get", gvr.group_resource, "GET", path_of(gvr, namespace, name), accept=accept)
        return object_of(self._transport.call(request), type, request, name)

    def get_path(self, path: str, type: type[T], *, max_body: int = MAX_BODY) -> T:
        """GET a document that is not an object, such as `/version` or `/apis/batch/v1`, of at most `max_body` bytes."""
        request = Request("get", "", "GET", checked_path(path), max_body=max_body)
        return document_of(self._transport.call(request), type, request)

    def list_page(
        self,
        gvr: GVR,
        namespace: str | None,
        type: type[T],
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
        continue_: str = "",
        resource_version: str | None = None,
        metadata_only: bool = False,
        max_bytes: int = 0,
    ) -> Page[T]:
        """LIST one page of objects; pass the page's `continue_` to get the next, until it is empty.

        `limit` 0 asks for everything at once. Gone means that the token has expired: start again. A page holds fewer
        objects than `limit` if it would exceed `max_bytes` (0: 32 MiB).
        """
        accept = _METADATA_LIST if metadata_only else "application/json"
        path = path_of(gvr, namespace)
        size = min(limit, self._page_limits.get(gvr, limit))
        while True:
            query = query_of(
                labelSelector=label_selector,
                fieldSelector=field_selector,
                limit=str(size or ""),
                resourceVersion=resource_version or "",
                **{"continue": continue_},
            )
            bound = (max_bytes or _LIST_BODY) if size > 1 else MAX_BODY
            request = Request("list", gvr.group_resource, "GET", path, query, accept=accept, max_body=bound)
            try:
                page = self._list(request, type)
            except Transient as error:
                if error.reason != "TooLarge" or size == 1:
                    raise
                size = self._page_limits[gvr] = max(1, (size or _ALL) // 4)
                continue
            if not page.continue_ and limit:
                self._page_limits.pop(gvr, None)  # the objects of the next list may be smaller
            return page

    def _list(self, request: Request, type: type[T]) -> Page[T]:
        body = self._transport.call(request)
        decoder = _list_decoder(type)
        found = decoded(body, decoder, request) if type is not msgspec.Raw else _decode_raw(body, decoder, request)
        if isinstance(found.items, msgspec.UnsetType) or not found.metadata.resource_version:
            # Taken for an empty list, it would remove every object from the cache.
            raise unrecognized(request, "no list, for it lacks items or a resourceVersion,")
        return Page(found.items or [], found.metadata.resource_version, found.metadata.continue_)

    def watch(
        self,
        gvr: GVR,
        namespace: str | None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str,
        timeout_seconds: int,
        read_timeout: float,
        metadata_only: bool = False,
    ) -> Watch:
        """WATCH the changes after `resource_version`, with bookmarks, for at most `timeout_seconds`.

        Without a `resource_version` it begins with an ADDED event for each object as it is now.
        A connection that sends nothing for `read_timeout` seconds counts as dead.
        """
        query = query_of(
            watch="1",
            allowWatchBookmarks="true",
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=resource_version,
            timeoutSeconds=str(timeout_seconds),
        )
        accept = _METADATA if metadata_only else "application/json"
        request = Request("watch", gvr.group_resource, "GET", path_of(gvr, namespace), query, accept=accept)
        connection, head = self._transport.stream(request)
        return Watch(self._transport, connection, head, read_timeout)

    def pod_log(self, namespace: str, pod: str, options: LogOptions) -> PodLog:
        """The log of a container, on a connection of its own."""
        return open_log(self._transport, namespace, pod, options)

    def create(
        self,
        gvr: GVR,
        namespace: str | None,
        body: bytes | Mapping[str, Any],
        type: type[T],
        *,
        field_validation: str = "",
        dry_run: bool = False,
        on_warnings: Callable[[tuple[str, ...]], None] | None = None,
    ) -> T:
        """Create an object. Exists: the name is taken, perhaps by a repeated POST of this call; GET shows the owner.

        `field_validation` (Strict, Warn, Ignore) says what a field means that the API server does not know.
        `dry_run`: nothing is stored. `on_warnings` is called before this returns or raises, if there is a warning.
        """
        request = Request(
            "create",
            gvr.group_resource,
            "POST",
            path_of(gvr, namespace),
            query_of_write(field_validation, dry_run),
            body=body_of(body),
            on_warning=heard(on_warnings),
        )
        return object_of(self._transport.call(request), type, request)

    def review(self, gvr: GVR, body: Mapping[str, Any], type: type[T]) -> T:
        """POST a question that is answered and not stored, such as a SubjectAccessReview; the answer has no name."""
        request = Request("create", gvr.group_resource, "POST", path_of(gvr, None), body=body_of(body))
        return document_of(self._transport.call(request), type, request)

    def patch(
        self,
        gvr: GVR,
        namespace: str | None,
        name: str,
        body: bytes,
        *,
        content_type: str,
        type: type[T],
        subresource: str | None = None,
        metadata_only: bool = False,
        dry_run: bool = False,
        on_warnings: Callable[[tuple[str, ...]], None] | None = None,
    ) -> T:
        """PATCH an object with a JSON_PATCH or MERGE_PATCH body; a version to test is part of the body."""
        path, query = path_of(gvr, namespace, name, subresource), query_of_write("", dry_run)
        accept, on_warning = _METADATA if metadata_only else "application/json", heard(on_warnings)
        about = ("patch", gvr.group_resource, "PATCH", path, query)
        request = Request(*about, body=body, content_type=content_type, accept=accept, on_warning=on_warning)
        return object_of(self._transport.call(request), type, request, name)

    def apply(
        self,
        gvr: GVR,
        namespace: str | None,
        name: str,
        body: bytes | Mapping[str, Any],
        type: type[T],
        *,
        field_manager: str,
        force: bool = False,
        field_validation: str = "",
        dry_run: bool = False,
        on_warnings: Callable[[tuple[str, ...]], None] | None = None,
    ) -> T:
        """Server-side apply: creates the object, or sets the fields of `body` and removes those applied before.

        Conflict if another field manager owns one of the fields and `force` is not set; the message names both. The
        rest is as in `create`.
        """
        query = query_of(
            fieldManager=field_manager,
            force="true" if force else "",
            fieldValidation=field_validation,
            dryRun="All" if dry_run else "",
        )
        request = Request(
            "apply",
            gvr.group_resource,
            "PATCH",
            path_of(gvr, namespace, name),
            query,
            body=body_of(body),
            content_type=APPLY_PATCH,
            on_warning=heard(on_warnings),
        )
        return object_of(self._transport.call(request), type, request, name)

    def replace(
        self,
        gvr: GVR,
        namespace: str | None,
        name: str,
        body: bytes | Mapping[str, Any],
        type: type[T],
        *,
        subresource: str | None = None,
    ) -> T:
        """PUT a whole object; Conflict unless its metadata.resourceVersion is the current one."""
        path = path_of(gvr, namespace, name, subresource)
        request = Request("update", gvr.group_resource, "PUT", path, body=body_of(body))
        return object_of(self._transport.call(request), type, request, name)

    def delete(
        self,
        gvr: GVR,
        namespace: str | None,
        name: str,
        *,
        uid: str | None,
        propagation: str = "Background",
        resource_version: str | None = None,
    ) -> None:
        """Delete an object; Conflict if a given `uid` or `resource_version` is not the current one."""
        conditions = {"uid": uid, "resourceVersion": resource_version}
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {field: value for field, value in conditions.items() if value},
        }
        request = Request("delete", gvr.group_resource, "DELETE", path_of(gvr, namespace, name), body=body_of(options))
        found = decoded(self._transport.call(request), NAMED, request)
        if found.metadata.name != name and (found.kind, bytes(found.status)) != ("Status", b'"Success"'):
            raise unrecognized(request, f"neither a Status nor the object {name!r}")

    def drain(self, seconds: float) -> None:
        """Shut down: calls in flight may finish for at most `seconds` and are then cut; new calls raise Stopped.

        Watches end at once. The client cannot be used again.
        """
        self._transport.drain(seconds)

    def abort(self) -> None:
        """Shut down at once: calls in flight are cut, new calls raise Stopped."""
        self._transport.abort()

    @property
    def connection_lost_at(self) -> float:
        """When a connection to the API server last failed or broke, in seconds of `time.monotonic`; -inf if never."""
        return self._transport.connection_lost_at

    def guard(self, may_write: Callable[[], bool]) -> None:
        """Call `may_write` right before each write is sent; Stopped is raised if it returns False."""
        self._transport.guard(may_write)

    def add_observer(self, observer: Observer) -> None:
        """Call `observer(verb, resource, code, seconds)` after every call; code 0 means no answer."""
        self._transport.add_observer(observer)


def _list_decoder(type: type[T]) -> msgspec.json.Decoder[_List[T]]:
    decoder = _LIST_DECODERS.get(type)
    if decoder is None:
        decoder = _LIST_DECODERS[type] = build_decoder(_List[type])  # type: ignore[valid-type]
    return decoder


def _decode_raw(body: bytes, decoder: msgspec.json.Decoder[_List[T]], request: Request) -> _List[T]:
    """The list, with whole raw items, however deep they are nested: the caller reads each by itself."""
    try:
        return decoder.decode(body)
    except msgspec.DecodeError:
        return decoded(body, decoder, request)
    except RecursionError:
        parts = members(body)
        items = [msgspec.Raw(item) for item in elements(parts.pop("items", b"[]"))]
        rest = b"{%s}" % b",".join(b"%s:%s" % (msgspec.json.encode(name), part) for name, part in parts.items())
        found = decoded(rest, decoder, request)
        return msgspec.structs.replace(found, items=items)
