"""A certificate that changes, and a server that stops, while clients ask: no request fails."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from pkg.serving.limits import Limits
from pkg.serving.server import Server
from pkg.serving.tls import BadCertificate
from pkg.telemetry.health import BindError
from pkg.webhooks.review import Answer, Request
from pkg.webhooks.server.application import Application
from tests.unit.kube.waiting import wait_for
from tests.unit.webhooks.server.serving import HOST, PATIENCE, Counted, Serving, allow, new_certificate, review, serving

JSON = {"Content-Type": "application/json"}


@dataclass
class Load:
    """Clients that ask without a pause, half of them over a new connection each time."""

    server: Serving
    context: ssl.SSLContext
    stopped: threading.Event = field(default_factory=threading.Event)
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Connections that were not made: once nobody listens, a Service sends the client elsewhere."""

    def run(self, keeps: bool) -> None:
        client = self.server.client(self.context)
        while not self.stopped.is_set():
            try:
                client.connect()
            except OSError as error:
                self.refused.append(repr(error))
                return
            while not self.stopped.is_set() and client.sock is not None:
                try:
                    client.request("POST", "/validate", review(), JSON)
                    answer = client.getresponse()
                    answer.read()
                except (OSError, http.client.HTTPException) as error:
                    self.failures.append(repr(error))
                    return
                if answer.status != 200:
                    self.failures.append(str(answer.status))
                self.answered += 1
                if not keeps:
                    client.close()
        client.close()

    def until(self, count: int) -> None:
        """Waits for so many more answers."""
        wanted = self.answered + count
        wait_for(lambda: self.answered >= wanted or bool(self.failures), PATIENCE)


@contextlib.contextmanager
def load(server: Serving, *authorities: bytes) -> Iterator[Load]:
    made = Load(server, server.tls(*authorities))
    with ThreadPoolExecutor(6) as pool:
        running: list[Future[None]] = [pool.submit(made.run, bool(number % 2)) for number in range(6)]
        try:
            yield made
        finally:
            made.stopped.set()
            for future in running:
                future.result()


def test_a_certificate_that_changes_under_load_fails_no_request() -> None:
    certificates = [new_certificate() for _ in range(8)]
    with serving() as server, load(server, server.certificate.authority, *(c.authority for c in certificates)) as made:
        for certificate in certificates:
            server.server.use(certificate.certificate, certificate.key)
            made.until(20)
        assert made.failures + made.refused == []
        last = ssl.create_default_context(cadata=certificates[-1].authority.decode())
        server.connect(last).close()


def test_a_certificate_that_cannot_be_used_leaves_the_previous_one() -> None:
    other = new_certificate()
    with serving() as server:
        for certificate, key in ((other.certificate, server.certificate.key), (b"", b""), (other.certificate, b"x")):
            with pytest.raises(BadCertificate):
                server.server.use(certificate, key)
            assert server.post(review())[0] == 200


def test_a_stop_under_load_answers_every_request_that_began() -> None:
    with serving() as server, load(server) as made:
        made.until(100)
        server.server.drain()
        made.until(50)  # the Service has not forgotten the replica yet
        assert made.refused == []
        server.server.stop(10.0)
        assert made.failures == []
        assert server.app.running == 0


def test_a_stop_waits_for_requests_that_run_and_for_those_that_arrive() -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait(_request: Request) -> Answer:
        entered.set()
        leave.wait(30)
        return Answer(allowed=True)

    with serving({"/validate": wait}) as server, server.connect() as late, ThreadPoolExecutor(2) as pool:
        asked = pool.submit(server.post, review())
        entered.wait(30)
        body = review()
        late.sendall(b"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n")
        late.sendall(b"content-length: %d\r\n\r\n" % len(body) + body[:10])
        wait_for(lambda: server.server.connections == 2)
        stopping = pool.submit(server.server.stop, 10.0)
        wait_for(lambda: not server.server.is_serving)
        leave.set()
        status, headers, _ = asked.result(30)
        assert (status, headers["connection"]) == (200, "close")
        late.sendall(body[10:])
        assert late.recv(100).startswith(b"HTTP/1.1 200 ")
        late.close()
        stopping.result(30)


def test_a_stop_cuts_off_what_takes_longer_than_it_waits() -> None:
    leave = threading.Event()

    def hang(_request: Request) -> Answer:
        leave.wait(30)
        return Answer(allowed=True)

    with serving({"/validate": hang}) as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.post, review())
        wait_for(lambda: server.app.running == 1)
        server.server.stop(0.1)
        with pytest.raises((OSError, http.client.HTTPException)):
            asked.result(30)
        leave.set()


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with serving() as server, server.connect():
        wait_for(lambda: server.server.connections == 1)
        [connection] = server.server._state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_is_an_error_that_names_the_flag() -> None:
    with socket.create_server((HOST, 0)) as taken:
        limits, counted = Limits(), Counted()
        server = Server(Application({"/validate": allow}, limits, counted), limits, counted.cut, "webhook")
        with pytest.raises(BindError, match="--port"):
            server.start(HOST, taken.getsockname()[1])


def test_a_loop_that_hangs_fails_the_health_check() -> None:
    with serving() as server:
        assert server.server.hangs() is None
        leave = threading.Event()
        block: Callable[[], object] = lambda: leave.wait(30)  # noqa: E731
        server.server._loop.call_soon_threadsafe(block)
        assert "event loop" in (server.server.hangs() or "")
        leave.set()
