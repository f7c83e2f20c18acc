"""The queue of one viewer: short, and replaced by the whole state when it overflows."""

from __future__ import annotations

import asyncio

from pkg.dashboard.live.viewer import MAX_BYTES, MAX_EVENTS, Viewer


def test_what_is_there_is_taken_at_once_and_in_order() -> None:
    async def run() -> bytes | None:
        viewer = Viewer(lambda: b"all")
        viewer.put(b"a")
        viewer.put(b"b")
        return await viewer.take()

    assert asyncio.run(run()) == b"ab"


def test_a_viewer_that_is_behind_gets_the_state_as_it_is_when_it_takes_it() -> None:
    async def run() -> tuple[bytes | None, bytes | None, int]:
        newest = b"old"
        viewer = Viewer(lambda: newest)
        for _ in range(MAX_EVENTS + 5):
            viewer.put(b"x")
        newest = b"new"
        first = await viewer.take()
        viewer.put(b"y")
        return first, await viewer.take(), viewer.resyncs

    assert asyncio.run(run()) == (b"new", b"y", 1)


def test_large_events_count_by_their_size() -> None:
    async def run() -> int:
        viewer = Viewer(lambda: b"all")
        viewer.put(b"x" * (MAX_BYTES + 1))  # alone, the largest event is no reason
        before = viewer.resyncs
        viewer.put(b"y")
        return viewer.resyncs - before

    assert asyncio.run(run()) == 1


def test_one_that_waits_is_woken() -> None:
    async def run() -> bytes | None:
        viewer = Viewer(lambda: b"all")
        taking = asyncio.ensure_future(viewer.take())
        await asyncio.sleep(0)
        viewer.put(b"a")
        return await taking

    assert asyncio.run(run()) == b"a"


def test_a_closed_viewer_takes_what_is_left_and_then_nothing() -> None:
    async def run() -> list[bytes | None]:
        viewer = Viewer(lambda: b"all")
        viewer.put(b"a")
        viewer.close()
        viewer.put(b"late")
        return [await viewer.take(), await viewer.take()]

    assert asyncio.run(run()) == [b"a", None]
