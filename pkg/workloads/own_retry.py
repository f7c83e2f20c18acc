"""Whether a job will be retried by its own kind, by the column `ownRetry` of rules.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pkg.workloads import paths
from pkg.workloads.model import KindRow, OwnRetry


def own_retries(row: KindRow, body: dict[str, Any]) -> Iterator[tuple[OwnRetry, Any]]:
    """The fields by which a job retries by itself, each with its value, or None if its default is what retries.

    Values that hold variables, and fields whose effect depends on others, count as not retrying.
    """
    for how in row.own_retry:
        if " " in how.disabled or how.disabled == "none":
            continue  # in words: no single value of the field decides
        path = paths.parse(how.path)
        values = paths.select(path, body)
        if not values and how.default.isdigit() and how.default != how.disabled and _is_plain(path):
            yield how, None
        for value in values:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if isinstance(value, str | int) and text != how.disabled and "{{" not in text:
                yield how, value
                break


def _is_plain(path: paths.Path) -> bool:
    """Whether a path has no wildcard."""
    return all(isinstance(step, str) for step in path)
