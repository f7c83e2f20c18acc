"""The Leases that are known to be gone. What a watch shows may be older than the answer to a call."""

from __future__ import annotations

from typing import Final

_MAX: Final = 4096


class Gone:
    """Uids of Leases, the newest 4096 of them."""

    def __init__(self) -> None:
        self._uids: dict[str, None] = {}

    def __contains__(self, uid: object) -> bool:
        return uid in self._uids

    def add(self, uid: str) -> None:
        if uid:
            self._uids[uid] = None
        if len(self._uids) > _MAX:
            del self._uids[next(iter(self._uids))]

    def discard(self, uid: str) -> None:
        """It is there after all."""
        self._uids.pop(uid, None)
