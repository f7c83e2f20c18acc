"""The API client: verbs in, values out.

Bodies are bytes and msgspec types, so that each caller decodes only the fields it uses; the generated client builds
whole models and costs many times the CPU.
"""

# ruff: noqa: A002 - the parameter that says what to decode into is best called `type`.
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlencode

import msgspec

from pkg.apis.meta import GVR, ListMeta
from pkg.kube.config import ClientConfig
from pkg.kube.decoding import build_decoder
from pkg.kube.errors import Refused, Transient
from pkg.kube.json_depth import elements, members
from pkg.kube.transport import Observer, Request, Transport
from pkg.kube.watch import Watch

T = TypeVar("T")

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_PATH = re.compile(r"(?:/[A-Za-z0-9_.:~-]+)+")
_DECODERS: dict[object, msgspec.json.Decoder[Any]] = {}
_LIST_DECODERS: dict[object, msgspec.json.Decoder[Any]] = {}
_DOTS = re.compile(r"/\.\.?(?:/|$)")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a LIST: its objects, the version it was read at, and the token of the next page (empty: last)."""

    items: list[T]
    resource_version: str
    continue_: str


class _List(msgspec.Struct, Generic[T], frozen=True):
    metadata: ListMeta = ListMeta()
    items: list[T] | None = None


class Client:
    """A thread-safe client of one API server. Every method raises `pkg.kube.errors.KubeError` and nothing else.

    `timeout` is for a whole call, in seconds; `qps` and `burst` limit the calls per second (0: no limit).
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
        self.namespace = config.namespace
        self.server = config.server

    def get(self, gvr: GVR, namespace: str | None, name: str, type: type[T]) -> T:
        """The object of that name."""
        return self._send(Request("get", gvr.resource, "GET", _path(gvr, namespace, name)), type)

    def get_path(self, path: str, type: type[T]) -> T:
        """A document that is not an object, such as `/version` or `/apis/batch/v1`."""
        return self._send(Request("get", "", "GET", _checked(path)), type)

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
    ) -> Page[T]:
        """One page of objects; ask on with the page's `continue_` until that is empty.

        `limit` 0 asks for everything at once. Gone means that the token is too old: start again.
        """
        query = _query(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            limit=str(limit) if limit else "",
            resourceVersion=resource_version or "",
            **{"continue": continue_},
        )
        accept = _METADATA_LIST if metadata_only else "application/json"
        request = Request("list", gvr.resource, "GET", _path(gvr, namespace), query, accept=accept)
        body = self._transport.call(request)
        decoder = _list_decoder(type)
        try:
            found = _decode(body, decoder, request)
        except Transient as error:
            if type is not msgspec.Raw or not isinstance(error.__cause__, RecursionError):
                raise
            # Whoever asks for raw items judges them one by one.
            parts = members(body)
            items = [msgspec.Raw(item) for item in elements(parts.pop("items", b"[]"))]
            rest = b"{%s}" % b",".join(b"%s:%s" % (msgspec.json.encode(name), part) for name, part in parts.items())
            found = _decode(rest, decoder, request)
            found = msgspec.structs.replace(found, items=items)
        return Page(found.items or [], found.metadata.resource_version, found.metadata.continue_)

    def watch(
        self,
        gvr: GVR,
        namespace: str | None,
        *,
        label_selector: str = "",
        resource_version: str,
        timeout_seconds: int,
        read_timeout: float,
        metadata_only: bool = False,
    ) -> Watch:
        """Follow changes after `resource_version`, bookmarks included, for `timeout_seconds` at most.

        `read_timeout` is how long nothing at all may come before the connection counts as dead.
        """
        query = _query(
            watch="1",
            allowWatchBookmarks="true",
            labelSelector=label_selector,
            resourceVersion=resource_version,
            timeoutSeconds=str(timeout_seconds),
        )
        accept = _METADATA if metadata_only else "application/json"
        request = Request("watch", gvr.resource, "GET", _path(gvr, namespace), query, accept=accept)
        connection, head = self._transport.stream(request)
        return Watch(self._transport, connection, head, read_timeout)

    def create(self, gvr: GVR, namespace: str | None, body: bytes | Mapping[str, Any], type: type[T]) -> T:
        """Make an object; Exists if the name is taken (by whom, only a GET tells: a creation may be sent twice)."""
        return self._send(Request("create", gvr.resource, "POST", _path(gvr, namespace), body=_bytes(body)), type)

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
    ) -> T:
        """Change parts of an object by JSON_PATCH or MERGE_PATCH; the body holds the version to test, if any."""
        path = _path(gvr, namespace, name, subresource)
        return self._send(Request("patch", gvr.resource, "PATCH", path, body=body, content_type=content_type), type)

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
        """Put a whole object in place of the old one; Conflict unless metadata.resourceVersion is still the current."""
        path = _path(gvr, namespace, name, subresource)
        return self._send(Request("update", gvr.resource, "PUT", path, body=_bytes(body)), type)

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
        """Delete the object of that name, only if it has that uid and version (else Conflict) where they are given."""
        conditions = {"uid": uid, "resourceVersion": resource_version}
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {field: value for field, value in conditions.items() if value},
        }
        request = Request("delete", gvr.resource, "DELETE", _path(gvr, namespace, name), body=_bytes(options))
        self._transport.call(request)

    def drain(self, seconds: float) -> None:
        """Raise Stopped for new calls; let those in flight finish for at most `seconds`, then cut them.

        Watches end at once. The client cannot be used again.
        """
        self._transport.drain(seconds)

    def abort(self) -> None:
        """Raise Stopped for new calls and cut those in flight, at once."""
        self._transport.abort()

    def guard(self, may_write: Callable[[], bool]) -> None:
        """Ask `may_write` at the last moment before anything is written; Stopped is raised if it says no."""
        self._transport.guard(may_write)

    def add_observer(self, observer: Observer) -> None:
        """Call `observer(verb, resource, code, seconds)` after every call; code 0 means that no answer came."""
        self._transport.add_observer(observer)

    def _send(self, request: Request, type: type[T]) -> T:
        body = self._transport.call(request)
        return _decode(body, _decoder(type), request) if type is not bytes else cast("T", body)


def _decoder(type: type[T]) -> msgspec.json.Decoder[T]:
    decoder = _DECODERS.get(type)
    if decoder is None:
        decoder = _DECODERS[type] = build_decoder(type)
    return decoder


def _list_decoder(type: type[T]) -> msgspec.json.Decoder[_List[T]]:
    decoder = _LIST_DECODERS.get(type)
    if decoder is None:
        decoder = _LIST_DECODERS[type] = build_decoder(_List[type])  # type: ignore[valid-type]
    return decoder


def _decode(body: bytes, decoder: msgspec.json.Decoder[T], request: Request) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Transient(f"{request}: the answer is not what was asked for: {error}", reason="Undecodable") from error


def _bytes(body: bytes | Mapping[str, Any]) -> bytes:
    return body if isinstance(body, bytes) else msgspec.json.encode(body)


def _query(**fields: str) -> str:
    return urlencode({name: value for name, value in fields.items() if value})


def _path(gvr: GVR, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
    return _checked(gvr.path(namespace, name, subresource))


def _checked(path: str) -> str:
    """Names come from users: what is no plain path segment must not reach another URL or the next header line."""
    if _PATH.fullmatch(path) is None or _DOTS.search(path):
        raise Refused(f"{path!r} is not the path of an API object", reason="InvalidPath")
    return path
