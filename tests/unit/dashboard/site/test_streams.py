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


def test_an_api_server_that_cannot_be_asked_is_asked_again() -> None:
    recheck = answers(Transient("down"), True)
    serve(recheck)
    assert recheck.left == []  # type: ignore[attr-defined]
