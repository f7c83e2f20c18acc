"""How many may hold a semaphore at once: what the key of a ConfigMap says. The value itself is never repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pkg.apis.flow.v1alpha1.locks import LockName

#: A number with more digits is a mistake.
_WHOLE: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Limit:
    """How many may hold a lock at once; fault: why that cannot be said, for people. places is 0 then."""

    places: int
    fault: str = ""


MUTEX: Final = Limit(1)


def limit_of(lock: LockName, data: Mapping[str, str] | None) -> Limit:
    """The limit of a semaphore. data: of its ConfigMap, None if there is none."""
    where = f"key {lock.key} of ConfigMap {lock.config_map}"
    if data is None:
        return Limit(0, f"there is no ConfigMap {lock.config_map}; create it with the key {lock.key}")
    value = data.get(lock.key)
    if value is None:
        return Limit(0, f"ConfigMap {lock.config_map} has no key {lock.key} under data; add it, with a whole number")
    if not _WHOLE.fullmatch(value.strip()):
        return Limit(0, f"{where} is no whole number from 0; correct it")
    return Limit(int(value.strip()))
