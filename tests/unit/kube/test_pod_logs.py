"""Logs: lines out of packets of any size, and how a log ends."""

from __future__ import annotations

import threading

import pytest

from pkg.kube import pod_logs
from pkg.kube.errors import Refused, Transient
from pkg.kube.pod_logs import LogOptions
from tests.unit.kube.server import Peer, Received
from tests.unit.kube.test_client import talking_to
from tests.unit.kube.test_watch import CHUNKED, chunk

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


def answer(data: bytes) -> list[bytes] | None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(data)

    with talking_to(script) as (client, _):
        return list(client.pod_log("ns", "p", LogOptions()))


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        pytest.param(PLAIN % (8, b"one\ntwo\n"), [b"one", b"two"], id="a body with a length"),
        pytest.param(PLAIN % (0, b""), [], id="an empty log"),
        pytest.param(PLAIN % (8, b"one\n\ntwo"), [b"one", b"", b"two"], id="empty lines, and no line end at the end"),
        pytest.param(
            CHUNKED + chunk(b"on") + chunk(b"e\ntwo") + b"0\r\n\r\n", [b"one", b"two"], id="lines over several chunks"
        ),
    ],
)
def test_lines(data: bytes, lines: list[bytes]) -> None:
    assert answer(data) == lines


def test_a_line_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_logs, "MAX_LINE", 4)
    assert answer(PLAIN % (10, b"abcdefghij")) == [b"abcd", b"efgh", b"ij"]


def test_a_log_that_is_closed_elsewhere_ends_in_the_thread_that_reads_it() -> None:
    may_end = threading.Event()

    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(CHUNKED + chunk(b"one\n"))
        may_end.wait(10)

    with talking_to(script) as (client, _):
        log = client.pod_log("ns", "p", LogOptions())
        lines = iter(log)
        assert next(lines) == b"one"
        closing = threading.Timer(0.1, log.close)
        closing.start()
        assert list(lines) == []
        closing.join(10)
        assert log._connection._sock is None
        may_end.set()


def test_a_log_that_nobody_reads_is_closed_at_once() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(PLAIN % (4, b"one\n"))

    with talking_to(script) as (client, _):
        log = client.pod_log("ns", "p", LogOptions())
        log.close()
        assert log._connection._sock is None


def test_a_broken_connection_is_no_end() -> None:
    with pytest.raises(Transient, match="the log broke off"):
        answer(CHUNKED + chunk(b"one\n"))


def test_a_container_that_has_not_started_is_refused() -> None:
    said = b'{"kind":"Status","code":400,"reason":"BadRequest","message":"container is waiting to start"}'
    with pytest.raises(Refused, match="waiting to start"):
        answer(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))


def test_a_name_that_leads_elsewhere_is_refused() -> None:
    with talking_to(lambda _: None) as (client, _), pytest.raises(Refused, match="not the name"):
        client.pod_log("ns", "../../x", LogOptions())


def test_the_options_are_those_of_the_api() -> None:
    seen: list[Received | None] = []

    def script(peer: Peer) -> None:
        seen.append(peer.receive())
        peer.send(PLAIN % (0, b""))

    options = LogOptions("main", follow=True, previous=True, timestamps=True, tail=5, since=0.2)
    with talking_to(script) as (client, _):
        assert list(client.pod_log("ns", "p", options)) == []
    assert seen[0] is not None
    assert seen[0].line == (
        "GET /api/v1/namespaces/ns/pods/p/log?container=main&follow=true&previous=true&timestamps=true&tailLines=5"
        "&sinceSeconds=1 HTTP/1.1"
    )
