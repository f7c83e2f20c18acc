"""Whole lists are read in pages, so that no answer of the API server is large."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pkg.apis.flow.v1alpha1.types import WORKFLOWS
from pkg.kube.client import Client, Page
from pkg.kube.errors import Forbidden, Gone, KubeError
from pkg.views.paging import PAGE, read_all


class Script:
    """A client whose pages are written down, by the token that asks for them; an error is raised, once."""

    def __init__(self, pages: dict[str, list[Page[int] | KubeError]]) -> None:
        self.pages = pages
        self.asked: list[tuple[str, int]] = []

    def list_page(self, *_: Any, continue_: str, limit: int, **__: Any) -> Page[int]:
        self.asked.append((continue_, limit))
        found = self.pages[continue_]
        first = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(first, KubeError):
            raise first
        return first


def read(script: Script) -> list[int]:
    return read_all(cast("Client", script), WORKFLOWS, None, int)


GONE = Gone("the token is too old", status=410)


def test_page_after_page() -> None:
    script = Script({"": [Page([1, 2], "5", "x")], "x": [Page([3], "5", "y")], "y": [Page([4], "5", "")]})
    assert read(script) == [1, 2, 3, 4]
    assert script.asked == [("", PAGE), ("x", PAGE), ("y", PAGE)]
    assert PAGE <= 1000


def test_a_list_whose_next_page_is_gone_is_begun_again() -> None:
    script = Script({"": [Page([1], "5", "x"), Page([2], "6", "x")], "x": [GONE, Page([3], "6", "")]})
    assert read(script) == [2, 3]


def test_but_not_for_ever() -> None:
    script = Script({"": [Page([1], "5", "x")], "x": [GONE]})
    with pytest.raises(Gone):
        read(script)
    assert len(script.asked) == 6


def test_another_error_is_raised_at_once() -> None:
    script = Script({"": [Forbidden("no", status=403)]})
    with pytest.raises(Forbidden):
        read(script)
    assert len(script.asked) == 1
