"""Reads a complete LIST, page by page. Pages shrink when they take too long: 500 large objects may be 500 MB."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from pkg.controllers.engine.deltas import KubeObject
from pkg.controllers.engine.listwatch import ListWatch, PageLike
from pkg.controllers.engine.reflector_options import Source
from pkg.controllers.engine.watch_events import ObjectDecoder, Unreadable
from pkg.kube.errors import Gone, Transient

T = TypeVar("T", bound=KubeObject)

_QUICK_SECONDS = 2.0
_MAX_TIMEOUTS = 2


class Listing(msgspec.Struct, Generic[T], frozen=True):
    """A complete list: its objects, those that could not be decoded, and the version that it was read at.

    left_out: `namespace/name` of those that the source did not keep then.
    """

    items: list[T]
    undecodable: list[Unreadable]
    resource_version: str
    left_out: frozenset[str] = frozenset()


class PageSize:
    """How many objects to ask for at once, `most` at most. It outlives a list, so that a list that fails converges."""

    def __init__(self, most: int) -> None:
        self.limit = most
        self._most = most

    def timed_out(self) -> None:
        """A page took too long: ask for a quarter from now on."""
        self.limit = max(1, self.limit // 4)

    def took(self, seconds: float) -> None:
        """A page came: ask for twice as many if it was quick."""
        if seconds < _QUICK_SECONDS:
            self.limit = min(self._most, self.limit * 2)


def decoded(page: PageLike, decoder: ObjectDecoder[T]) -> tuple[list[T], list[Unreadable]]:
    """The objects of a page, and those that cannot be decoded."""
    found = [decoder.item(raw) for raw in page.items]
    return (
        [one for one in found if not isinstance(one, Unreadable)],
        [one for one in found if isinstance(one, Unreadable)],
    )


def read_list(
    client: ListWatch,
    source: Source,
    decoder: ObjectDecoder[T],
    page_size: PageSize,
    is_stopped: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
    *,
    before_more: Callable[[], None] = lambda: None,
) -> Listing[T]:
    """All objects of `source`; only a part of them if `is_stopped` returns True meanwhile. Raises KubeError.

    before_more() is called after the first page, if it is not the last one.
    """
    items: list[T] = []
    undecodable: list[Unreadable] = []
    left_out: set[str] = set()
    token = ""
    timeouts = 0
    is_paged = True
    while True:
        started = clock()
        try:
            page = client.list_page(
                source.gvr,
                source.namespace,
                msgspec.Raw,
                label_selector=source.label_selector,
                limit=page_size.limit if is_paged else 0,
                continue_=token,
            )
        except Gone:
            if not token:
                raise
            # The page token expired, because reading took too long: ask for all objects in one response.
            items, undecodable, left_out, token, is_paged = [], [], set(), "", False
            continue
        except Transient as error:
            timeouts += 1
            if error.reason != "Timeout" or is_stopped():
                raise
            if is_paged:
                page_size.timed_out()
            if timeouts > _MAX_TIMEOUTS:
                raise
            is_paged = True
            continue
        timeouts = 0
        page_size.took(clock() - started)
        objects, unreadable = decoded(page, decoder)
        undecodable += unreadable
        for found in objects:
            if source.keeps is None or source.keeps(found.metadata.key):
                items.append(found)
            else:
                left_out.add(found.metadata.key)
        is_first, token = not token, page.continue_
        if not token or is_stopped():
            return Listing(items, undecodable, page.resource_version, frozenset(left_out))
        if is_first:
            before_more()
