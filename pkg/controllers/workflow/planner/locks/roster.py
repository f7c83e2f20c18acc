"""Which tasks of which workflow hold locks or wait for some."""

from __future__ import annotations

from pkg.controllers.workflow.planner.locks.holders import Holder


class Roster:
    """Those of one namespace, by their workflow: `namespace/name` and uid."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, str], set[Holder]] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def add(self, holder: Holder) -> None:
        self._holders.setdefault((holder.key, holder.uid), set()).add(holder)

    def discard(self, holder: Holder) -> None:
        holders = self._holders.get((holder.key, holder.uid), set())
        holders.discard(holder)
        if not holders:
            self._holders.pop((holder.key, holder.uid), None)

    def of(self, key: str, uid: str) -> tuple[Holder, ...]:
        """Those of one workflow."""
        return tuple(self._holders.get((key, uid), ()))

    def uids(self, key: str) -> list[str]:
        """The uids of the workflows of this name."""
        return [uid for name, uid in self._holders if name == key]

    def keys(self) -> set[str]:
        return {key for key, _ in self._holders}
