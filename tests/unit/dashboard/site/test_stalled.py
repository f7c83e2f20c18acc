"""A viewer that takes nothing for a while, over a real connection."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

from pkg.serving.limits import Limits
from pkg.serving.server import Server
from tests.unit.dashboard.live.source import Source, workflow
from tests.unit.dashboard.site.bench import Bench
from tests.waiting import until

LIMITS = Limits(connections=10, answer_seconds=float("inf"), idle_seconds=75.0)
CHANGES = 400


def connect(port: int) -> socket.socket:
    """A browser that has asked for the stream, and has little room for answers."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.settimeout(20)
    made.connect(("127.0.0.1", port))
    asked = "GET /api/workflows/team/w/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer abc\r\n\r\n"
    made.sendall(asked.encode())
    return made


def read(viewer: socket.socket, until_number: int) -> list[tuple[str, dict[str, Any]]]:
    """The events until the one that has this number."""
    data = b""
    found: list[tuple[str, dict[str, Any]]] = []
    while not found or found[-1][1].get("number") != until_number:
        part = viewer.recv(65536)
        assert part, "the stream ended"
        data += part
        *events, data = data.split(b"\n\n")
        for event in events:
            lines = event.decode(errors="replace").splitlines()
            names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
            texts = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
            if names and texts:
                found.append((names[0], json.loads(texts[0])))
    return found


def change(number: int) -> dict[str, Any]:
    """A state that is large, as the one of a large workflow is."""
    flows = [
        {"name": name, "phase": "Running", "attempts": number, "message": "x" * 1_000}
        for name in ("a", *(f"f{each}" for each in range(19)))
    ]
    return workflow("w", number + 5, phase="Running", flows=flows)


def test_it_gets_the_newest_state_instead_of_what_it_has_missed_and_holds_nobody_up() -> None:
    source = Source(change(1))
    of = Bench(source)
    server = Server(of.app, LIMITS, lambda _: None, "dashboard")
    port = server.start("127.0.0.1", 0)
    of.listing.start(server.loop)
    server.serve_plain()
    assert asyncio.run_coroutine_threadsafe(of.listing.ready(20), server.loop).result(20)
    stalled, quick = connect(port), connect(port)
    try:
        assert read(quick, 1)[-1][0] == "state"
        for number in range(2, CHANGES + 1):
            source.say("MODIFIED", change(number))
            assert [name for name, _ in read(quick, number)] == ["frame"]
        events = read(stalled, CHANGES)
        kinds = [name for name, _ in events]
        assert kinds[0] == "state"
        assert "state" in kinds[1:], "what it has missed is one state"
        again = len(kinds) - 1 - kinds[::-1].index("state")
        assert events[again][1]["number"] > events[again - 1][1]["number"] + 1
        assert events[-1][1]["number"] == CHANGES
        assert len(events) < CHANGES / 2
    finally:
        stalled.close()
        quick.close()
        until(lambda: not server.connections)
        server.stop(1.0)
    value = of.metrics.registry.get_sample_value("dashboard_resyncs_total")
    assert value == kinds[1:].count("state")
