"""Reads a complete LIST, page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from pkg.controllers.engine.listwatch import ListWatch
from pkg.controllers.engine.reflector_options import Source
from pkg.controllers.engine.store import KubeObject
from pkg.controllers.engine.watch_events import ObjectDecoder, Unreadable
from pkg.kube.errors import Gone

T = TypeVar("T", bound=KubeObject)


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """A complete list: its objects, those that could not be decoded, and the version that it was read at."""

    items: list[T]
    undecodable: list[Unreadable]
    resource_version: str


def read_list(
    client: ListWatch, source: Source, decoder: ObjectDecoder[T], is_stopped: Callable[[], bool]
) -> Listing[T]:
    """All objects of `source`; only a part of them if `is_stopped` returns True meanwhile. Raises KubeError."""
    items: list[T] = []
    undecodable: list[Unreadable] = []
    limit, token = source.page_limit, ""
    while True:
        try:
            page = client.list_page(
                source.gvr,
                source.namespace,
                msgspec.Raw,
                label_selector=source.label_selector,
                limit=limit,
                continue_=token,
            )
        except Gone:
            if not token:
                raise
            # The page token expired, because reading took too long: ask for all objects in one response.
            items, undecodable, limit, token = [], [], 0, ""
            continue
        for raw in page.items:
            found = decoder.item(raw)
            if isinstance(found, Unreadable):
                undecodable.append(found)
            else:
                items.append(found)
        token = page.continue_
        if not token or is_stopped():
            return Listing(items, undecodable, page.resource_version)
