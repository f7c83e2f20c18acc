"""Watches: lines joined from packets of any size, and the ways a watch ends."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable

import pytest

from pkg.apis.meta import GVR
from pkg.kube import watch as watch_module
from pkg.kube.client import Client
from pkg.kube.errors import Gone, Stopped, Transient
from pkg.kube.watch import Watch
from tests.unit.kube.server import Peer, Received
from tests.unit.kube.test_client import in_thread, talking_to

JOBS = GVR("batch", "v1", "jobs")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def begin(client: Client, read_timeout: float = 5.0) -> Watch:
    return client.watch(
        JOBS, "ns", label_selector="a=b", resource_version="7", timeout_seconds=300, read_timeout=read_timeout
    )


def test_a_watch_asks_for_bookmarks_after_a_version() -> None:
    seen: list[Received | None] = []

    def script(peer: Peer) -> None:
        seen.append(peer.receive())
        peer.send(CHUNKED + chunk(b"1\n") + b"0\r\n\r\n")

    with talking_to(script) as (client, _), begin(client) as watch:
        assert list(watch) == [b"1"]
    assert seen[0] is not None
    assert seen[0].line == (
        "GET /apis/batch/v1/namespaces/ns/jobs?watch=1&allowWatchBookmarks=true&labelSelector=a%3Db"
        "&resourceVersion=7&timeoutSeconds=300 HTTP/1.1"
    )


FRAMES: dict[str, list[bytes]] = {
    "a line per chunk": [chunk(b'{"a":1}\n'), chunk(b'{"b":2}\n')],
    "two lines in a chunk": [chunk(b'{"a":1}\n{"b":2}\n')],
    "a line over several chunks": [chunk(b'{"a"'), chunk(b":1"), chunk(b'}\n{"b":2}\n')],
    "chunks cut in the middle of their size": [b"1", b'0\r\n{"a":1}\n{"b":2}\n\r', b"\n"],
    "empty lines between": [chunk(b'\n{"a":1}\n\n{"b":2}\n')],
}


@pytest.mark.parametrize("frames", FRAMES.values(), ids=FRAMES.keys())
def test_lines_are_put_together(frames: list[bytes]) -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(CHUNKED)
        for frame in frames:
            peer.send(frame)
            time.sleep(0.002)  # its own packet
        peer.send(b"0\r\n\r\n")

    with talking_to(script) as (client, _), begin(client) as watch:
        assert list(watch) == [b'{"a":1}', b'{"b":2}']


def test_an_object_of_megabytes_is_one_line() -> None:
    line = b'{"x":"' + b"y" * 3_000_000 + b'"}'

    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(CHUNKED + chunk(line + b"\n") + b"0\r\n\r\n")

    with talking_to(script) as (client, _), begin(client) as watch:
        assert list(watch) == [line]


def test_a_line_without_end_breaks_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "_MAX_LINE", 5000)

    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(CHUNKED)
        for _ in range(10):
            peer.send(chunk(b"x" * 1000))
        peer.receive()

    with (
        talking_to(script) as (client, _),
        begin(client) as watch,
        pytest.raises(Transient, match="more than 5000 bytes"),
    ):
        list(watch)


LOSSES: dict[str, tuple[bytes, bool]] = {
    "a watch that is cut": (CHUNKED + chunk(b"1\n"), True),
    "a watch that the server ends": (CHUNKED + chunk(b"1\n") + b"0\r\n\r\n", False),
}


@pytest.mark.parametrize(("sent", "is_lost"), LOSSES.values(), ids=LOSSES.keys())
def test_whether_the_connection_counts_as_lost_after(sent: bytes, is_lost: bool) -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(sent)

    with talking_to(script) as (client, _), begin(client) as watch:
        began = time.monotonic()
        with contextlib.suppress(Transient):
            list(watch)
        assert (client.connection_lost_at >= began) is is_lost


def test_a_body_without_chunks_ends_with_the_connection() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n1\n2\n")

    with talking_to(script) as (client, _), begin(client) as watch:
        assert list(watch) == [b"1", b"2"]


def test_a_refused_watch_raises_our_error() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.reply(410, b'{"kind":"Status","code":410,"reason":"Expired","message":"too old"}')

    with talking_to(script) as (client, _), pytest.raises(Gone, match="too old"):
        begin(client)


def test_a_watch_that_breaks_off_says_so_after_its_last_line() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(CHUNKED + chunk(b"1\nhalf"))

    with talking_to(script) as (client, _), begin(client) as watch:
        assert next(watch) == b"1"
        with pytest.raises(Transient, match="in the middle of the watch"):
            next(watch)


def test_silence_longer_than_the_read_timeout_is_an_error() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(CHUNKED + chunk(b"1\n"))
        peer.receive()

    with talking_to(script) as (client, _), begin(client, read_timeout=0.03) as watch:
        assert next(watch) == b"1"
        with pytest.raises(Transient, match=r"received nothing for 0.03 s") as caught:
            next(watch)
        assert caught.value.reason == "Timeout"


Ending = Callable[[Client, Watch], None]


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (lambda client, watch: watch.close(), None),
        (lambda client, watch: client.drain(5), Stopped),
        (lambda client, watch: client.abort(), Stopped),
    ],
    ids=["closing it ends the iteration", "draining the client cuts it at once", "so does aborting"],
)
def test_a_waiting_watch_is_ended_from_another_thread(end: Ending, outcome: type[Exception] | None) -> None:
    first = threading.Event()
    result: list[Exception | None] = []

    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(CHUNKED + chunk(b"1\n"))
        peer.receive()

    def follow(watch: Watch) -> None:
        try:
            for _ in watch:
                first.set()
        except Stopped as error:
            result.append(error)
        else:
            result.append(None)

    with talking_to(script) as (client, _):
        watch = begin(client)
        thread = threading.Thread(target=follow, args=(watch,))
        thread.start()
        assert first.wait(5)
        end(client, watch)
        thread.join(5)
    assert [type(error) if error else None for error in result] == [outcome]


def test_draining_also_cuts_a_watch_that_is_just_being_opened() -> None:
    arrived = threading.Event()

    def script(peer: Peer) -> None:
        peer.receive()
        arrived.set()
        peer.receive()

    with talking_to(script) as (client, _):
        thread, result = in_thread(lambda: begin(client))
        assert arrived.wait(5)
        client.drain(5)
        thread.join(5)
    assert isinstance(result[0], Stopped)


def test_no_watch_is_begun_by_a_client_that_is_shutting_down() -> None:
    with talking_to(lambda peer: None) as (client, server):
        client.drain(0)
        with pytest.raises(Stopped):
            begin(client)
        assert server.connections == 0
