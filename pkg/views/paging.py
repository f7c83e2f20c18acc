"""Reads whole lists in pages."""

from __future__ import annotations

from typing import Final, TypeVar

from pkg.apis.meta import GVR
from pkg.kube.client import Client
from pkg.kube.errors import Gone

T = TypeVar("T")
PAGE: Final = 500
_TRIES: Final = 3


def read_all(
    client: Client,
    gvr: GVR,
    namespace: str | None,
    type: type[T],  # noqa: A002 - as the client calls it
    *,
    label_selector: str = "",
    field_selector: str = "",
    metadata_only: bool = False,
) -> list[T]:
    """Every object, read in pages of PAGE. Raises KubeError.

    A list that takes so long that its next page is gone is begun again.
    """
    for left in reversed(range(_TRIES)):
        found: list[T] = []
        token = ""
        try:
            while True:
                page = client.list_page(
                    gvr,
                    namespace,
                    type,
                    label_selector=label_selector,
                    field_selector=field_selector,
                    limit=PAGE,
                    continue_=token,
                    metadata_only=metadata_only,
                )
                found += page.items
                token = page.continue_
                if not token:
                    return found
        except Gone:
            if not left:
                raise
    raise AssertionError("the last try returns or raises")
