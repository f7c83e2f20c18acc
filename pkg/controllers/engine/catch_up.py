"""Whether the watch has told what happened while a first list was read.

A list of several pages has the version of its first page, which is seconds old when the last one comes. If it counted
as complete, an object that ended meanwhile would seem to run, so that a timeout came too early, and one that was made
meanwhile would seem to be deleted.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pkg.controllers.engine.listwatch import ListWatch
from pkg.controllers.engine.reflector_options import Source
from pkg.controllers.engine.store import version_of

WATCH_SECONDS: Final = 1
"""Of a watch that tells what is old: the API server sends that at once. If it has nothing to tell, there is nothing."""
SILENCE: Final = 5.0
"""Seconds without a line after which such a watch is broken off: the API server did not end it in time."""
# So many silent watches in a row that it did not end are those of a server that ends none.
_UNENDED: Final = 3


class CatchUp:
    """For one reflector, in its thread."""

    def __init__(self, client: ListWatch, source: Source) -> None:
        self._client = client
        self._source = source
        self._is_given_up = False
        self._newest: int | None = None
        self._unended = 0
        self._is_needed = False

    @property
    def is_needed(self) -> bool:
        """Whether the first list does not count as complete yet."""
        return self._is_needed

    def begin(self) -> None:
        """The first list has more than one page."""
        self._is_needed = self._source.by_owner is not None and not self._is_given_up
        self._newest, self._unended = None, 0

    def ask(self) -> None:
        """Asks once for the version to reach, if there is need. Raises KubeError."""
        if self._is_needed and self._newest is None:
            page = self._client.list_page(self._source.gvr, self._source.namespace, msgspec.Raw, limit=1)
            self._newest = version_of(page.resource_version)

    def is_done(self, version: int) -> bool:
        """Whether there was need, and a watch that has told everything up to `version` has told enough."""
        return self._is_needed and self._newest is not None and version >= self._newest

    def is_silent(self, *, has_ended: bool) -> bool:
        """Whether there was need, and a watch that had nothing to tell says that nothing happened. has_ended: by the
        server, as it was asked to.
        """
        self._unended = 0 if has_ended else self._unended + 1
        return self._is_needed and (has_ended or self._unended >= _UNENDED)

    def end(self) -> None:
        """The first list counts as complete."""
        self._is_needed = False

    def give_up(self) -> None:
        """No watch can go on from the list. The next list counts as it is: it may be too old for a watch, too."""
        self._is_given_up |= self._is_needed
        self._is_needed = False
