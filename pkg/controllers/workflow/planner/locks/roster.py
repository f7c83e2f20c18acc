"""Which tasks of which workflow hold locks or wait for some."""

from __future__ import annotations

from pkg.controllers.workflow.planner.locks.holders import Holder


class Roster:
    """Those of one namespace, by their workflow: `namespace/name` and uid."""

    def __init__(self) -> None:
        self._holders: dict[str, dict[str, set[Holder]]] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def add(self, holder: Holder) -> None:
        self._holders.setdefault(holder.key, {}).setdefault(holder.uid, set()).add(holder)

    def discard(self, holder: Holder) -> None:
        by_uid = self._holders.get(holder.key, {})
        holders = by_uid.get(holder.uid, set())
        holders.discard(holder)
        if not holders:
            by_uid.pop(holder.uid, None)
        if not by_uid:
            self._holders.pop(holder.key, None)

    def of(self, key: str, uid: str) -> tuple[Holder, ...]:
        """Those of one workflow."""
        return tuple(self._holders.get(key, {}).get(uid, ()))

    def uids(self, key: str) -> list[str]:
        """The uids of the workflows of this name."""
        return list(self._holders.get(key, {}))

    def keys(self) -> set[str]:
        return set(self._holders)
