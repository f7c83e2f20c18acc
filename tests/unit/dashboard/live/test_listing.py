"""The list of all Workflows, by one watch: what it holds, and what its viewers are sent."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from pkg.dashboard.live.listing import Listing
from pkg.dashboard.model.lines import ListLine
from pkg.kube.errors import Forbidden, Gone, KubeError, Transient
from tests.unit.dashboard.live.events import Events
from tests.unit.dashboard.live.source import Source, workflow


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.views.follow._PAUSE_SECONDS", 0.0)


@asynccontextmanager
async def listing_of(source: Source) -> AsyncIterator[Listing]:
    """A list that has been read once."""
    made = Listing(source.client, None, again_seconds=0.0)
    made.start(asyncio.get_running_loop())
    try:
        assert await made.ready(20)
        yield made
    finally:
        made.close()


def test_a_change_is_sent_to_those_who_may_see_it() -> None:
    async def run() -> None:
        source = Source(workflow("a"), workflow("b", namespace="other"))
        async with listing_of(source) as found:
            everyone, few = Events(found.join(None)), Events(found.join({"team"}))
            source.say("MODIFIED", workflow("b", 6, "other", phase="Running"))
            source.say("MODIFIED", workflow("a", 7, phase="Failed"))
            names = set[str]()
            while names != {"a", "b"}:
                names |= {line["name"] for line in (await everyone.next("lines"))[1]["lines"]}
            lines = (await few.next("lines"))[1]["lines"]
            assert [(line["name"], line["phase"]) for line in lines] == [("a", "Failed")]
            assert found.namespaces() == ["other", "team"]

    asyncio.run(run())


def test_a_deleted_one_goes() -> None:
    async def run() -> None:
        source = Source(workflow("a"))
        async with listing_of(source) as found:
            viewer = Events(found.join(None))
            source.say("DELETED", workflow("a", 6))
            assert (await viewer.next("lines"))[1] == {"lines": [], "gone": [["team", "a"]]}
            assert not found.lines

    asyncio.run(run())


@pytest.mark.parametrize(
    "error",
    [Forbidden("no right", status=403), Gone("too old", status=410), Transient("down")],
    ids=["the right was taken away", "the version expired", "the connection broke, and nothing was missed"],
)
def test_what_was_deleted_while_nothing_was_watched_goes_too(error: KubeError) -> None:
    async def run() -> None:
        source = Source(workflow("a"), workflow("b"))
        async with listing_of(source) as found:
            viewer = Events(found.join(None))
            source.objects = [workflow("b")]
            source.cut(error)
            if isinstance(error, Transient):  # the watch goes on where it was, and says it
                source.say("DELETED", workflow("a", 6))
            assert (await viewer.next("lines"))[1]["gone"] == [["team", "a"]]
            assert [name for _, name in found.lines] == ["b"]

    asyncio.run(run())


def test_viewers_hear_when_the_api_server_is_lost_and_when_it_is_back() -> None:
    async def run() -> None:
        source = Source(workflow("a"))
        async with listing_of(source) as found:
            viewer = Events(found.join(None))
            source.refusal = Transient("no answer")
            source.cut(Transient("no answer"))
            assert await viewer.next("lost") == ("lost", {"message": "no answer"})
            assert found.trouble == "no answer"
            source.refusal = None
            await viewer.next("back")
            assert not found.trouble

    asyncio.run(run())


def test_a_viewer_that_is_behind_reads_its_page_again() -> None:
    async def run() -> None:
        async with listing_of(Source()) as found:
            viewer = found.join(None)
            for _ in range(100):
                viewer.put(b"x")
            assert await Events(viewer).next() == ("again", {})

    asyncio.run(run())


def test_without_the_right_nobody_waits_for_the_first_list() -> None:
    async def run() -> None:
        source = Source(workflow("a"))
        source.refusal = Forbidden("no", status=403)
        made = Listing(source.client, None, again_seconds=0.01)
        made.start(asyncio.get_running_loop())
        assert not await made.ready(20)
        assert (made.is_forbidden, made.trouble) == (True, "no")
        source.refusal = None
        while not await made.ready(20):
            await asyncio.sleep(0.01)
        assert (made.is_forbidden, made.trouble) == (False, "")
        made.close()

    asyncio.run(run())


def test_its_namespaces_are_read_in_another_thread_while_lines_come_and_go() -> None:
    found = Listing(Source().client, None)
    kept = {("team", f"w{number}"): cast("ListLine", None) for number in range(2_000)}
    found.lines.update(kept)
    ended = threading.Event()

    def change() -> None:
        while not ended.is_set():
            more = {("other", f"w{number}"): cast("ListLine", None) for number in range(50)}
            for key, line in more.items():
                found.lines[key] = line
            for key in more:
                del found.lines[key]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    writer = threading.Thread(target=change)
    writer.start()
    try:
        for _ in range(1_000):
            assert set(found.namespaces()) <= {"team", "other"}
    finally:
        ended.set()
        writer.join()
        sys.setswitchinterval(before)
