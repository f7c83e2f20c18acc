"""Lines on their way from the thread that reads them to a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading

import pytest

from pkg.dashboard.live.line_feed import MAX_BYTES, MAX_LINES, Closed, LineFeed


async def taken(feed: LineFeed) -> list[tuple[str, object]]:
    """The events of one `take`; none once it has ended."""
    data = await asyncio.wait_for(feed.take(), 20)
    if data is None:
        return []
    parts = [part.split("\n") for part in data.decode().split("\n\n") if part]
    return [(first.removeprefix("event: "), json.loads(second.removeprefix("data: "))) for first, second in parts]


def test_every_line_comes_in_order_and_then_the_end() -> None:
    async def run() -> None:
        feed = LineFeed(asyncio.get_running_loop(), 0.0)
        lines = [f"line {number}" for number in range(MAX_LINES * 3 + 7)]

        def read() -> None:
            for line in lines:
                feed.add(line)
            feed.end("it is over")

        thread = threading.Thread(target=read)
        thread.start()
        found: list[tuple[str, object]] = []
        while part := await taken(feed):
            found += part
        thread.join()
        assert found[0] == ("begin", {})
        assert found[-1] == ("end", {"message": "it is over"})
        assert [line for name, some in found if name == "lines" for line in some] == lines  # type: ignore[attr-defined]
        assert all(len(some) <= MAX_LINES for name, some in found if name == "lines")  # type: ignore[arg-type]

    asyncio.run(run())


def test_the_last_line_before_a_pod_falls_silent_comes_too() -> None:
    async def run() -> None:
        feed = LineFeed(asyncio.get_running_loop(), 0.0)
        await taken(feed)
        await asyncio.to_thread(feed.add, "ready")
        assert await taken(feed) == [("lines", ["ready"])]

    asyncio.run(run())


def test_a_log_that_comes_faster_than_it_is_taken_waits_and_loses_nothing() -> None:
    async def run() -> None:
        feed = LineFeed(asyncio.get_running_loop(), 0.0)
        await taken(feed)
        count, added = 40, list[int]()

        def read() -> None:
            for number in range(count):
                feed.add(f"{number:06}" + "x" * (MAX_BYTES // 4))
                added.append(number)
            feed.end("")

        thread = threading.Thread(target=read)
        thread.start()
        found: list[str] = []
        while part := await taken(feed):
            assert len(added) - len(found) <= 12, "what is on its way, and what waits up to the bound"
            found += [line[:6] for name, some in part if name == "lines" for line in some]  # type: ignore[attr-defined]
        thread.join()
        assert found == [f"{number:06}" for number in range(count)]

    asyncio.run(run())


def test_a_reader_that_waits_is_freed_when_nobody_takes_any_more() -> None:
    async def run() -> None:
        feed = LineFeed(asyncio.get_running_loop(), 0.0)
        ended = threading.Event()

        def read() -> None:
            with contextlib.suppress(Closed):
                while True:
                    feed.add("x" * MAX_BYTES)
            ended.set()

        threading.Thread(target=read).start()
        feed.close()
        assert await asyncio.to_thread(ended.wait, 20)
        assert await feed.take() is not None, "the beginning"
        assert await feed.take() is None

    asyncio.run(run())


def test_an_event_loop_that_has_ended_closes_it() -> None:
    loop = asyncio.new_event_loop()
    feed = LineFeed(loop)
    loop.close()
    with pytest.raises(Closed):
        feed.add("late")
