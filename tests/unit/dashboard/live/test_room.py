"""One Workflow and those who look at it: states, frames, and the words about an API server that is lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pkg.dashboard.live.room import Room
from pkg.dashboard.live.rooms import MAX_ROOMS, Full, Rooms
from pkg.dashboard.live.viewer import MAX_EVENTS
from pkg.kube.errors import Forbidden, Gone, Transient
from tests.unit.dashboard.live.events import Events
from tests.unit.dashboard.live.source import Source, workflow


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.views.follow._PAUSE_SECONDS", 0.0)


def run_phase(version: int, phase: str) -> dict[str, Any]:
    flow = {"name": "a", "phase": phase, "attempts": int(phase != "Waiting")}
    return workflow("w", version, phase="Running", flows=[flow])


@asynccontextmanager
async def room_of(source: Source, ended: list[str] | None = None) -> AsyncIterator[Room]:
    """A room that has had its first answer."""
    loop = asyncio.get_running_loop()
    made = Room(source.client, "team", "w", loop, lambda: ended.append("end") if ended is not None else None)
    try:
        await made.ready(20)
        yield made
    finally:
        made.close()


def test_a_viewer_gets_the_state_and_then_frames() -> None:
    async def run() -> None:
        source = Source(run_phase(1, "Waiting"))
        async with room_of(source) as room:
            viewer = Events(room.join())
            name, state = await viewer.next()
            assert (name, state["state"]["flows"]) == ("state", [{}])
            source.say("MODIFIED", run_phase(6, "Running"))
            name, frame = await viewer.next()
            assert (name, frame["number"], frame["flows"]["0"]["phase"]) == ("frame", state["number"] + 1, "Running")
            assert [move["kind"] for move in frame["moves"]] == ["start"]

    asyncio.run(run())


def test_an_edit_sends_the_whole_state_and_another_scene() -> None:
    async def run() -> None:
        source = Source(run_phase(1, "Waiting"))
        async with room_of(source) as room:
            viewer = Events(room.join())
            first = (await viewer.next("state"))[1]["state"]["head"]["shape"]
            edited = workflow("w", 6)
            edited["spec"]["flows"].append({"name": "b", "template": "step"})
            source.say("MODIFIED", edited)
            state = (await viewer.next("state"))[1]["state"]
            assert state["head"]["shape"] != first
            shape, scene = room.scene()
            assert shape == state["head"]["shape"]
            assert [box["name"] for box in json.loads(scene)["boxes"]] == ["a", "b"]

    asyncio.run(run())


def test_an_api_server_that_is_back_takes_the_words_back_also_if_nothing_has_changed() -> None:
    async def run() -> None:
        source = Source(run_phase(1, "Running"))
        async with room_of(source) as room:
            viewer = Events(room.join())
            await viewer.next("state")
            source.refusal = Transient("no answer")
            source.cut()
            assert await viewer.next() == ("lost", {"message": "no answer"})
            late = Events(room.join())
            assert [(await late.next())[0], (await late.next())[0]] == ["state", "lost"]
            source.refusal = None
            assert await viewer.next() == ("back", {})
            assert await late.next() == ("back", {})
            assert not room.trouble

    asyncio.run(run())


def test_a_deleted_workflow_is_gone_and_another_one_of_its_name_comes() -> None:
    async def run() -> None:
        source = Source(run_phase(1, "Running"))
        async with room_of(source) as room:
            viewer = Events(room.join())
            await viewer.next("state")
            source.say("DELETED", run_phase(6, "Running"))
            assert await viewer.next() == ("gone", {})
            assert room.is_gone
            source.say("ADDED", run_phase(7, "Waiting"))
            assert (await viewer.next())[0] == "state"

    asyncio.run(run())


def test_what_was_deleted_while_nothing_was_watched_is_gone() -> None:
    async def run() -> None:
        source = Source(run_phase(1, "Running"))
        async with room_of(source) as room:
            viewer = Events(room.join())
            await viewer.next("state")
            source.objects = []
            source.cut(Gone("too old", status=410))
            assert await viewer.next() == ("gone", {})

    asyncio.run(run())


def test_one_that_was_made_anew_while_nothing_was_watched_is_another_run() -> None:
    """Its shape and its generation are those of the one before, but it has come from nowhere: no task moves."""

    async def run() -> None:
        source = Source(run_phase(1, "Running"))
        async with room_of(source) as room:
            viewer = Events(room.join())
            await viewer.next("state")
            other = run_phase(9, "Waiting")
            other["metadata"]["uid"] = "another"
            source.objects = [other]
            source.cut(Gone("too old", status=410))
            name, found = await viewer.next()
            assert (name, found["state"]["head"]["uid"], found["state"]["flows"]) == ("state", "another", [{}])

    asyncio.run(run())


def test_a_workflow_that_was_never_there() -> None:
    async def run() -> None:
        async with room_of(Source()) as room:
            assert room.is_gone
            assert room.state is None

    asyncio.run(run())


def test_a_right_that_is_refused_ends_the_streams_and_the_room() -> None:
    async def run() -> None:
        source, ended = Source(run_phase(1, "Running")), list[str]()
        async with room_of(source, ended) as room:
            joined = room.join()
            viewer = Events(joined)
            await viewer.next("state")
            source.cut(Forbidden("no right", status=403))
            assert await viewer.next() == ("failed", {"message": "no right"})
            assert await joined.take() is None
            assert ended == ["end"]

    asyncio.run(run())


def test_a_viewer_that_takes_nothing_gets_the_newest_state_once() -> None:
    """Its queue stays short, and the others get every frame."""

    async def run() -> None:
        source = Source(run_phase(1, "Running"))
        async with room_of(source) as room:
            stalled, quick = room.join(), Events(room.join())
            await quick.next("state")
            last = MAX_EVENTS * 2
            for number in range(last):
                flow = {"name": "a", "phase": "Running", "attempts": number + 2}
                source.say("MODIFIED", workflow("w", number + 6, phase="Running", flows=[flow]))
                assert (await quick.next())[1]["flows"]["0"]["tries"] == number + 2
            assert stalled.resyncs == 1
            events = Events(stalled)
            name, found = await events.next()
            assert (name, found["state"]["flows"][0]["tries"]) == ("state", last + 1)
            source.say("MODIFIED", run_phase(999, "Succeeded"))
            name, frame = await events.next()
            assert (name, frame["number"]) == ("frame", found["number"] + 1)

    asyncio.run(run())


def test_an_arrow_that_only_a_template_tells_of_is_drawn() -> None:
    async def run() -> None:
        made = workflow("w")
        made["spec"]["flows"].append({"name": "b", "template": "client"})
        source = Source(made)
        ip = {"labels": {"ip": "{{flows.a.podIP}}"}}
        gvr = {"group": "batch", "version": "v1", "resource": "jobs"}
        source.templates["client"] = {"metadata": {"name": "client"}, "spec": {"gvr": gvr, "metadata": ip}}
        async with room_of(source) as room:
            shape, scene = room.scene()
            arrows = json.loads(scene)["arrows"]
            assert [(one["source"], one["target"], one["kind"]) for one in arrows] == [(0, 1, "value")]
            assert room.state is not None
            assert room.state.head.shape == shape

    asyncio.run(run())


def test_rooms_are_shared_linger_and_are_bounded() -> None:
    async def run() -> None:
        source = Source(run_phase(1, "Running"))
        rooms = Rooms(source.client, linger=3600.0)
        try:
            with rooms.using("team", "w") as one, rooms.using("team", "w") as two:
                assert one is two
            with rooms.using("team", "w") as again:
                assert again is one
                for number in range(MAX_ROOMS - 1):
                    with rooms.using("team", f"w-{number}"):
                        pass
                assert len(rooms) == MAX_ROOMS
                with rooms.using("team", "another"):
                    assert len(rooms) == MAX_ROOMS, "one that nobody uses has made room"
        finally:
            rooms.close()
        with pytest.raises(Full, match="shutting down"), rooms.using("team", "late"):
            pass

    asyncio.run(run())
