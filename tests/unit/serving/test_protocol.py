"""Slow, silent and hostile clients are cut off, over real connections; others do not notice them."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pkg.serving.limits import Limits
from pkg.webhooks.review import Answer, Request
from tests.unit.kube.waiting import wait_for
from tests.unit.webhooks.server.serving import HOST, PATIENCE, Serving, read_all, review, serving

HURRIED = Limits(
    handshake_seconds=0.3,
    request_seconds=0.3,
    answer_seconds=0.6,
    idle_seconds=0.3,
    header_bytes=10_000,
    connections=20,
)
HEAD = b"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    """A server with little patience."""
    with serving(limits=HURRIED) as made:
        yield made


def plain(server: Serving) -> socket.socket:
    return socket.create_connection((HOST, server.port), PATIENCE)


def nothing(_connection: socket.socket) -> None:
    """The client is silent."""


def sends(*parts: bytes) -> Callable[[socket.socket], None]:
    def send(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return send


def drips(start: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    """The client sends a little again and again, until the server has closed the connection."""

    def send(connection: socket.socket) -> None:
        connection.sendall(start)
        with contextlib.suppress(OSError):
            while not select.select([connection], [], [], 0.02)[0]:
                connection.sendall(drop)

    return send


@pytest.mark.parametrize(
    "act", [nothing, sends(b"hello"), sends(b"\x16\x03\x01\x02\x00")], ids=["silent", "no TLS", "a part of a hello"]
)
def test_a_connection_without_a_handshake_is_closed(server: Serving, act: Callable[[socket.socket], None]) -> None:
    with plain(server) as connection:
        act(connection)
        assert b"HTTP" not in read_all(connection)


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        pytest.param(nothing, "NoRequest", id="sends nothing"),
        pytest.param(sends(b"POST /val"), "SlowRequest", id="stops within the request line"),
        pytest.param(sends(HEAD), "SlowRequest", id="stops within the header"),
        pytest.param(sends(HEAD + b"content-length: 10\r\n\r\n{}"), "SlowRequest", id="stops within the body"),
        pytest.param(
            sends(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"), "SlowRequest", id="sends no last chunk"
        ),
        pytest.param(drips(HEAD, b"a: b\r\n"), "SlowRequest", id="sends one header after the other"),
        pytest.param(
            drips(HEAD + b"content-length: 100000\r\n\r\n", b"x"), "SlowRequest", id="sends a body byte by byte"
        ),
        pytest.param(sends(HEAD + b"a: " + b"x" * 20_000), "HeaderTooLarge", id="sends a header without an end"),
    ],
)
def test_a_client_that_keeps_the_server_waiting_is_cut_off(
    server: Serving, act: Callable[[socket.socket], None], reason: str
) -> None:
    before = server.counted.cuts[reason]
    with server.connect() as connection:
        act(connection)
        assert read_all(connection) == b""
    assert server.counted.cuts[reason] == before + 1
    assert server.post(review())[0] == 200


def test_a_client_that_reads_no_answer_is_cut_off() -> None:
    """It asks again and again; the answers fill every buffer on the way, and then nothing moves."""
    long = Answer(allowed=True, warnings=("x" * 1_000_000,))
    with serving({"/validate": lambda _request: long}, HURRIED) as server, plain(server) as small:
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with server.tls().wrap_socket(small, server_hostname=HOST) as connection:
            body = review()
            with contextlib.suppress(OSError):
                while True:
                    connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        assert sum(server.counted.cuts.values()) == 1


def test_a_client_that_closes_nothing_after_the_last_answer_is_cut_off() -> None:
    with serving(limits=HURRIED) as server, server.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b" 404 " in read_all(connection)


def test_a_kept_connection_is_closed_after_the_idle_time_and_not_before(server: Serving) -> None:
    client = server.client()
    for _ in range(3):
        client.request("POST", "/validate", review(), {"Content-Type": "application/json"})
        assert client.getresponse().read()
    assert read_all(client.sock) == b""
    client.close()


def test_a_handler_that_takes_too_long_loses_its_connection() -> None:
    leave = threading.Event()

    def hang(_request: Request) -> Answer:
        leave.wait(PATIENCE)
        return Answer(allowed=True)

    with serving({"/validate": hang}, HURRIED) as server, server.connect() as connection:
        body = review()
        connection.sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        assert read_all(connection) == b""
        assert server.counted.cuts == {"SlowAnswer": 1}
        leave.set()


def test_connections_above_the_bound_are_closed_and_the_others_served() -> None:
    limits = Limits(connections=3)
    with serving(limits=limits) as server, contextlib.ExitStack() as stack:
        opened = [stack.enter_context(server.connect()) for _ in range(limits.connections)]
        wait_for(lambda: server.server.connections == limits.connections)
        one_more = stack.enter_context(server.connect())
        assert read_all(one_more) == b""
        body = review()
        opened[0].sendall(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
        assert opened[0].recv(100).startswith(b"HTTP/1.1 200 ")


def test_five_hundred_connections_are_served_beside_silent_ones() -> None:
    """400 keep their connection and ask three times, 50 finish no handshake, 50 send no request."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1500:
        pytest.skip(f"needs 1,500 open files, and the limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1500), hard))
    with serving() as server, contextlib.ExitStack() as stack, ThreadPoolExecutor(16) as pool:
        for _ in range(50):
            stack.enter_context(plain(server))
        for silent in pool.map(lambda _: server.connect(), range(50)):
            stack.enter_context(silent)
        context = server.tls()
        clients = [server.client(context) for _ in range(400)]
        list(pool.map(lambda client: client.connect(), clients))
        wait_for(lambda: server.server.connections == 450, PATIENCE)

        def ask(number: int) -> int:
            client = clients[number % len(clients)]
            client.request("POST", "/validate", review(), {"Content-Type": "application/json"})
            answer = client.getresponse()
            answer.read()
            return answer.status

        for _ in range(3):
            assert set(pool.map(ask, range(400))) == {200}
        assert server.server.connections == 450
        assert not server.counted.cuts
        for client in clients:
            client.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the old version itself
def test_http_1_is_agreed_on_and_old_tls_refused(server: Serving) -> None:
    with server.connect() as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
        assert connection.version() == "TLSv1.3"
    old = server.tls()
    old.minimum_version, old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        server.connect(old)
