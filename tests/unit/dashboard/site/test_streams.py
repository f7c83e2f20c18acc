"""When a stream ends because its viewer may not see it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pkg.dashboard.live.viewer import Viewer
from pkg.dashboard.site.streams import EventStream
from pkg.kube.errors import Forbidden, KubeError, Transient, Unauthorized


def answers(*given: bool | KubeError) -> Callable[[], Any]:
    """Gives these answers, one after the other, and then False."""
    left = list(given)

    async def recheck() -> bool:
        answer = left.pop(0) if left else False
        if isinstance(answer, KubeError):
            raise answer
        return answer

    recheck.left = left  # type: ignore[attr-defined]
    return recheck


def serve(recheck: Callable[[], Any]) -> list[bytes]:
    """What is sent until the stream ends; it has to end."""
    sent: list[bytes] = []

    async def run() -> None:
        async def send(message: dict[str, Any]) -> None:
            sent.append(message.get("body", b""))

        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            return {}

        stream = EventStream(Viewer(lambda: b""), lambda: sent.append(b"end"), recheck, recheck_seconds=0)
        await asyncio.wait_for(stream({}, receive, send), 20)

    asyncio.run(run())
    return sent


@pytest.mark.parametrize("refusal", [False, Forbidden("no"), Unauthorized("no")], ids=str)
def test_it_ends_once_the_viewer_may_not_see_it(refusal: bool | KubeError) -> None:
    recheck = answers(True, refusal, True)
    assert serve(recheck)[-1] == b"end"
    assert recheck.left == [True], "it asks no more after the refusal"  # type: ignore[attr-defined]


def test_why_it_was_ended_and_how_much_was_sent_is_counted() -> None:
    cut: list[str] = []
    sent: list[int] = []

    async def run() -> None:
        async def send(_: dict[str, Any]) -> None:
            pass

        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            return {}

        viewer = Viewer(lambda: b"")
        viewer.put(b"12345")
        stream = EventStream(viewer, lambda: None, answers(), recheck_seconds=0, on_sent=sent.append, on_cut=cut.append)
        await asyncio.wait_for(stream({}, receive, send), 20)

    asyncio.run(run())
    assert cut == ["Refused"]
    assert 5 in sent


def test_a_viewer_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.dashboard.site.streams._STALL_SECONDS", 0.01)
    cut: list[str] = []

    async def run() -> None:
        async def send(message: dict[str, Any]) -> None:
            if message.get("body"):
                await asyncio.Event().wait()

        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            return {}

        await asyncio.wait_for(EventStream(Viewer(lambda: b""), lambda: None, on_cut=cut.append)({}, receive, send), 20)

    asyncio.run(run())
    assert cut == ["Stalled"]


def test_an_api_server_that_cannot_be_asked_is_asked_again() -> None:
    recheck = answers(Transient("down"), True)
    serve(recheck)
    assert recheck.left == []  # type: ignore[attr-defined]
