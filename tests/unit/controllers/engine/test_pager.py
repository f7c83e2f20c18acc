"""Lists that are read page by page, and the size of a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from pkg.apis.meta import GVR, PartialObject
from pkg.controllers.engine.pager import PageSize, read_list
from pkg.controllers.engine.reflector_options import Source
from pkg.controllers.engine.watch_events import ObjectDecoder
from pkg.kube.client import Page
from pkg.kube.errors import Gone, KubeError, Transient

THINGS = GVR("example.org", "v1", "things")
TIMEOUT = Transient("no answer within 10 s", reason="Timeout")
CUT = Transient("cut", reason="Network")
TOO_OLD = Gone("too old", status=410)


class Api:
    """A collection of `count` objects. `fault(limit, calls)` is an error to raise, if any; a page takes `seconds`."""

    def __init__(self, count: int, fault: Callable[[int, int], KubeError | None], seconds: float = 0.0) -> None:
        self.count = count
        self.limits: list[int] = []
        self.now = 0.0
        self._fault = fault
        self._seconds = seconds

    def list_page(
        self,
        gvr: GVR,
        namespace: str | None,
        type: type[msgspec.Raw],  # noqa: A002
        *,
        label_selector: str = "",
        limit: int = 500,
        continue_: str = "",
        resource_version: str | None = None,
    ) -> Page[msgspec.Raw]:
        self.limits.append(limit)
        if error := self._fault(limit, len(self.limits)):
            raise error
        self.now += self._seconds
        start = int(continue_ or 0)
        end = min(self.count, start + limit) if limit else self.count
        items = [
            msgspec.Raw(b'{"metadata":{"name":"%d","uid":"u","resourceVersion":"1"}}' % number)
            for number in range(start, end)
        ]
        return Page(items, "7", str(end) if end < self.count else "")

    def watch(self, *_: Any, **__: Any) -> Any:
        raise AssertionError

    def read(self, size: PageSize) -> int:
        decoder = ObjectDecoder(PartialObject)
        listing = read_list(self, Source(THINGS), decoder, size, lambda: False, lambda: self.now)
        assert len({item.metadata.name for item in listing.items}) == len(listing.items)
        return len(listing.items)


def scripted(*errors: KubeError | None) -> Callable[[int, int], KubeError | None]:
    return lambda _limit, calls: errors[calls - 1] if calls <= len(errors) else None


def slow_above(most: int) -> Callable[[int, int], KubeError | None]:
    return lambda limit, _calls: TIMEOUT if limit > most or not limit else None


def test_a_page_that_times_out_is_asked_for_again_in_a_quarter_of_the_size() -> None:
    api = Api(100, slow_above(31), seconds=5.0)
    assert api.read(PageSize(500)) == 100
    assert api.limits == [500, 125, 31, 31, 31, 31]


def test_pages_grow_again_while_they_are_quick() -> None:
    api = Api(600, scripted(TIMEOUT, TIMEOUT))
    assert api.read(PageSize(500)) == 600
    assert api.limits == [500, 125, 31, 62, 124, 248, 496]


def test_a_list_that_fails_goes_on_with_small_pages_the_next_time() -> None:
    api, size = Api(10, slow_above(1), seconds=5.0), PageSize(500)
    attempts = 0
    while True:
        attempts += 1
        try:
            assert api.read(size) == 10
        except Transient:
            continue
        break
    assert api.limits == [500, 125, 31, 7, 1, *[1] * 9]
    assert attempts == 2, "a silent network holds a list up for three time-outs at most"


def test_a_page_in_the_middle_of_a_list_is_repeated_and_none_is_lost() -> None:
    api = Api(50, scripted(None, TIMEOUT), seconds=5.0)
    assert api.read(PageSize(20)) == 50
    assert api.limits == [20, 20, *[5] * 6]


@pytest.mark.parametrize("error", [CUT, TOO_OLD], ids=["cut", "too old at its first page"])
def test_other_faults_end_the_list_and_leave_the_size(error: KubeError) -> None:
    api, size = Api(10, scripted(error)), PageSize(500)
    with pytest.raises(type(error)):
        api.read(size)
    assert (api.limits, size.limit) == ([500], 500)


FALLBACKS: dict[str, tuple[Sequence[KubeError | None], list[int]]] = {
    "a list that is too old is asked for at once": ((None, TOO_OLD), [20, 20, 0]),
    "a list that takes too long at once goes back to pages": ((None, TOO_OLD, TIMEOUT), [20, 20, 0, 20, 20, 20]),
}


@pytest.mark.parametrize(("faults", "limits"), FALLBACKS.values(), ids=FALLBACKS.keys())
def test_fallbacks(faults: Sequence[KubeError | None], limits: list[int]) -> None:
    api = Api(50, scripted(*faults))
    assert api.read(PageSize(20)) == 50
    assert api.limits == limits


@pytest.mark.parametrize(("count", "calls"), [(20, 0), (50, 1)], ids=["one page", "several"])
def test_there_is_a_moment_after_the_first_page_of_several(count: int, calls: int) -> None:
    told: list[int] = []
    api = Api(count, scripted())
    read_list(
        api,
        Source(THINGS),
        ObjectDecoder(PartialObject),
        PageSize(20),
        lambda: False,
        before_more=lambda: told.append(len(api.limits)),
    )
    assert told == [1] * calls
