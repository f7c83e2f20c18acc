"""Each line comes soon, also the last one before the thread falls silent."""

from __future__ import annotations

import asyncio
import threading

import msgspec

from pkg.dashboard.live.gathering import MAX_LINES, Gatherer
from pkg.dashboard.live.viewer import Viewer


def given(data: bytes) -> list[list[str]]:
    """The lines of each event."""
    found = []
    for text in data.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
        if fields.get("event") == "lines":
            found.append(msgspec.json.decode(fields["data"], type=list[str]))
    return found


async def _take(viewer: Viewer) -> bytes:
    data = await asyncio.wait_for(viewer.take(), 20)
    assert data is not None
    return data


def test_lines_are_one_event_and_the_last_one_waits_for_no_other() -> None:
    async def run() -> None:
        viewer = Viewer(lambda: b"")
        lines = Gatherer(viewer, asyncio.get_running_loop(), 0.01)

        def write() -> None:
            for text in ("a", "b", "c"):
                lines.add(text)

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        assert given(await _take(viewer)) == [["a", "b", "c"]]
        lines.add("d")
        assert given(await _take(viewer)) == [["d"]]

    asyncio.run(run())


def test_the_end_comes_after_all_lines_and_many_lines_are_several_events() -> None:
    async def run() -> None:
        viewer = Viewer(lambda: b"")
        lines = Gatherer(viewer, asyncio.get_running_loop(), 3600)
        for number in range(MAX_LINES + 1):
            lines.add(str(number))
        lines.end("the pod is gone")
        await asyncio.sleep(0)
        data = await _take(viewer)
        assert [len(part) for part in given(data)] == [MAX_LINES, 1]
        assert data.decode().rindex("the pod is gone") > data.decode().rindex(f'"{MAX_LINES}"')

    asyncio.run(run())
