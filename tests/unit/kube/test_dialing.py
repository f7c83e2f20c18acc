"""Servers with several addresses, of which some fail or are silent; names that resolve slowly or not at all."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pkg.apis.meta import GVR
from pkg.kube.client import Client
from pkg.kube.config import ClientConfig
from pkg.kube.dialing import Dialer, Race, order
from pkg.kube.errors import Stopped, Transient
from pkg.kube.resolving import Address, Resolver
from pkg.kube.wire import Connection
from tests.unit.kube.conftest import Certificate
from tests.unit.kube.server import Peer, Server
from tests.unit.kube.waiting import wait_for

NAME = "api.example"


def ipv4(host: str, port: int = 1) -> Address:
    return Address(socket.AF_INET, socket.SOCK_STREAM, 6, (host, port))


def ipv6(host: str, port: int = 1) -> Address:
    return Address(socket.AF_INET6, socket.SOCK_STREAM, 6, (host, port, 0, 0))


A, B, C = ipv4("127.0.0.1"), ipv4("127.0.0.2"), ipv4("127.0.0.3")
X, Y = ipv6("::1"), ipv6("::2")
ORDERS: dict[str, tuple[list[Address], Address | None, set[Address], list[Address]]] = {
    "one": ([A], None, set(), [A]),
    "the system's order is kept": ([B, A], None, set(), [B, A]),
    "families take turns, beginning with the first": ([X, Y, A, B, C], None, set(), [X, A, Y, B, C]),
    "the one that worked last comes first": ([X, A, B], B, set(), [B, X, A]),
    "one that failed comes last": ([X, A, B], None, {X}, [A, B, X]),
    "one that worked and then failed comes last": ([A, B], A, {A}, [B, A]),
    "all that failed are still tried": ([A, B], None, {A, B}, [A, B]),
    "one that is not resolved any more is not tried": ([A], B, {C}, [A]),
}


@pytest.mark.parametrize(("found", "first", "avoided", "expected"), ORDERS.values(), ids=ORDERS.keys())
def test_order(found: list[Address], first: Address | None, avoided: set[Address], expected: list[Address]) -> None:
    assert order(found, first, avoided) == expected


def answer(peer: Peer) -> None:
    while peer.receive() is not None:
        peer.reply(200)


def say_nothing(peer: Peer) -> None:
    while peer.sock.recv(65536):
        pass


@contextlib.contextmanager
def dead_address() -> Iterator[Address]:
    """An address that drops every SYN, like a host that is down: its listener's backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.2", 0))
        listener.listen(0)
        address = ipv4(*listener.getsockname())
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(address.target)
        yield address


def closed_address() -> Address:
    """An address that refuses connections."""
    with socket.create_server(("127.0.0.3", 0)) as server:
        return ipv4(*server.getsockname())


@pytest.fixture
def resolve_to(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes NAME resolve to the given addresses."""
    real = socket.getaddrinfo

    def install(*addresses: Address) -> None:
        def fake(host: str, *args: Any, **kwargs: Any) -> list[Any]:
            if host == NAME:
                return [(family, kind, protocol, "", target) for family, kind, protocol, target in addresses]
            return real(host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", fake)

    return install


def call(scheme: str = "http", **options: Any) -> float:
    """One call to NAME; the seconds it took."""
    ca = options.pop("ca", None)
    client = Client(ClientConfig(f"{scheme}://{NAME}:1", ca=ca, server_name="localhost"), user_agent="x", **options)
    began = time.monotonic()
    client.get_path("/version", dict)
    client.abort()
    return time.monotonic() - began


@pytest.mark.parametrize("timeout", [10.0, 1.0], ids=["with much time", "with little time"])
def test_a_silent_address_costs_a_moment(resolve_to: Callable[..., None], timeout: float) -> None:
    with dead_address() as dead, Server(answer) as server:
        resolve_to(dead, ipv4("127.0.0.1", server.port))
        assert call(timeout=timeout) < timeout / 2


def test_an_address_that_refuses_costs_nothing(resolve_to: Callable[..., None]) -> None:
    with Server(answer) as server:
        resolve_to(closed_address(), closed_address(), ipv4("127.0.0.1", server.port))
        assert call() < 0.2


def test_a_kernel_without_ipv6_uses_the_other_addresses(
    resolve_to: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class WithoutIPv6(socket.socket):
        def __init__(self, family: int = -1, *args: Any, **kwargs: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(97, "Address family not supported by protocol")
            super().__init__(family, *args, **kwargs)

    with Server(answer) as server:
        resolve_to(ipv6("::1", server.port), ipv4("127.0.0.1", server.port))
        monkeypatch.setattr(socket, "socket", WithoutIPv6)
        call()


def test_an_address_that_is_silent_after_it_accepted_has_only_a_share_of_the_time(
    resolve_to: Callable[..., None], certificate: Certificate
) -> None:
    """As a load balancer with a dead backend: the TCP connection is there, the TLS handshake never ends."""
    with Server(say_nothing) as mute, Server(answer, certificate.server()) as server:
        resolve_to(ipv4("127.0.0.1", mute.port), ipv4("127.0.0.1", server.port))
        assert call("https", ca=certificate.cert, timeout=2.0) < 1.9
        assert mute.connections == 1


def test_an_address_that_does_not_speak_tls_is_passed_over(
    resolve_to: Callable[..., None], certificate: Certificate
) -> None:
    with Server(lambda peer: peer.reply(400)) as plain, Server(answer, certificate.server()) as server:
        resolve_to(ipv4("127.0.0.1", plain.port), ipv4("127.0.0.1", server.port))
        call("https", ca=certificate.cert)


class Mutable:
    """A server that falls silent when the test says so, with the connections that it has."""

    def __init__(self) -> None:
        self.is_mute = threading.Event()
        self.server = Server(self._script)

    def _script(self, peer: Peer) -> None:
        while (request := peer.receive()) is not None:
            if self.is_mute.is_set():
                say_nothing(peer)
                return
            if "watch=1" in request.line:
                peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n1\n\r\n")
                say_nothing(peer)
                return
            peer.reply(200)


def test_a_call_on_an_address_that_fell_silent_goes_on_to_the_next_in_half_its_time(
    resolve_to: Callable[..., None],
) -> None:
    first = Mutable()
    with first.server, Server(answer) as second:
        resolve_to(ipv4("127.0.0.1", first.server.port), ipv4("127.0.0.1", second.port))
        client = Client(ClientConfig(f"http://{NAME}:1"), user_agent="x", timeout=0.4)
        in_parallel(lambda: client.get_path("/version", dict), 3)
        first.is_mute.set()
        before = first.server.connections
        for _ in range(5):
            client.get_path("/version", dict)
        assert (first.server.connections, second.connections) == (before, 1), "its idle connections are dropped"
        assert client.connection_lost_at > float("-inf")
        client.abort()


def test_a_server_with_one_address_has_the_whole_time() -> None:
    first = Mutable()
    with first.server:
        client = Client(ClientConfig(first.server.url), user_agent="x", timeout=0.1)
        client.get_path("/version", dict)
        first.is_mute.set()
        with pytest.raises(Transient, match=r"no answer within 0\.1 s"):
            client.get_path("/version", dict)
        assert first.server.connections == 1
        client.abort()


def test_watches_on_an_address_that_fell_silent_are_cut(resolve_to: Callable[..., None]) -> None:
    first = Mutable()
    with first.server, Server(answer) as second:
        resolve_to(ipv4("127.0.0.1", first.server.port), ipv4("127.0.0.1", second.port))
        client = Client(ClientConfig(f"http://{NAME}:1"), user_agent="x", timeout=0.4)
        watch = client.watch(GVR("", "v1", "pods"), None, resource_version="1", timeout_seconds=300, read_timeout=60.0)
        assert next(watch) == b"1"
        client.get_path("/version", dict)
        first.is_mute.set()
        client.get_path("/version", dict)
        with pytest.raises(Transient, match="the watch broke"):
            next(watch)
        client.abort()


def in_parallel(act: Callable[[], object], count: int) -> None:
    threads = [threading.Thread(target=act) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)


def test_addresses_that_are_all_silent_cost_no_more_than_the_deadline() -> None:
    with dead_address() as one:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            Race([one, one], began + 0.3, lambda sock: None).run()
        assert time.monotonic() - began < 1.0


def test_all_that_refuse_say_so() -> None:
    with pytest.raises(ConnectionRefusedError):
        Race([closed_address(), closed_address()], time.monotonic() + 5, lambda sock: None).run()


def test_a_connection_attempt_can_be_cut(resolve_to: Callable[..., None]) -> None:
    with dead_address() as dead:
        resolve_to(dead)
        client = Client(ClientConfig(f"http://{NAME}:1"), user_agent="x", timeout=60.0)
        result = background(client)
        wait_for(lambda: any(connection._dialing for connection in client._transport._pool._busy))
        client.abort()
        assert isinstance(result(), Stopped)


def background(client: Client) -> Callable[[], object]:
    """A call in a thread; the function waits for its error and returns it."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            client.get_path("/version", dict)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> object:
        thread.join(2)
        return errors[0] if errors else None

    return result


class Names:
    """Name servers that answer when the test lets them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.asked = 0
        self.answer: list[Any] | Exception = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))]
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, *_: Any, **__: Any) -> list[Any]:
        self.asked += 1
        self.go_on.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    found = Names(monkeypatch)
    yield found
    found.go_on.set()


def soon(seconds: float = 0.1) -> float:
    return time.monotonic() + seconds


def test_name_servers_that_are_silent_cost_no_more_than_the_deadline(names: Names) -> None:
    names.go_on.clear()
    resolver = Resolver()
    for _ in range(3):
        with pytest.raises(OSError, match=f"cannot connect to '{NAME}': the name servers gave no address in time"):
            resolver.resolve(NAME, 1, soon(0.02))
    assert names.asked == 1, "one thread hangs, and not one per caller"


def test_the_last_addresses_are_used_while_the_name_servers_fail(names: Names) -> None:
    resolver = Resolver()
    found = resolver.resolve(NAME, 1, soon(5))
    assert found == [ipv4("127.0.0.1")]
    names.answer = socket.gaierror(-3, "Temporary failure in name resolution")
    assert resolver.resolve(NAME, 1, soon(5)) == found
    names.go_on.clear()
    assert resolver.resolve(NAME, 1, soon(0.02)) == found


def test_a_name_that_does_not_exist_is_named(names: Names) -> None:
    names.answer = socket.gaierror(-2, "Name or service not known")
    with pytest.raises(OSError, match=f"cannot connect to '{NAME}': .*not known"):
        Resolver().resolve(NAME, 1, soon(5))


def test_an_address_needs_no_name_servers(names: Names) -> None:
    names.go_on.clear()
    with pytest.raises(OSError, match="in time"):
        Resolver().resolve(NAME, 1, soon(0.01))
    names.go_on.set()
    assert Resolver().resolve("127.0.0.1", 1, soon()) == [ipv4("127.0.0.1")]


def test_waiting_for_the_name_servers_can_be_cut(names: Names) -> None:
    names.go_on.clear()
    client = Client(ClientConfig(f"http://{NAME}:1"), user_agent="x", timeout=60.0)
    result = background(client)
    wait_for(lambda: names.asked == 1)
    client.abort()
    assert isinstance(result(), Stopped)


def test_what_worked_and_failed_decides_the_order_of_the_next(names: Names) -> None:
    names.answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 1)) for host in ("127.0.0.1", "127.0.0.2")]
    dialer = Dialer(NAME, 1)
    assert dialer.addresses(soon(5)) == [A, B]
    dialer.worked(B)
    assert dialer.addresses(soon(5)) == [B, A]
    dialer.failed(B)
    assert dialer.addresses(soon(5)) == [A, B]


def test_a_peer_that_takes_nothing_in_is_found_out_before_the_deadline() -> None:
    """As a host that is down, or a proxy that hangs: nothing that is sent is acknowledged as taken."""
    is_over = threading.Event()

    def take_nothing(peer: Peer) -> None:
        is_over.wait(20)

    with Server(take_nothing) as server:
        connection = Connection(ClientConfig(server.url).endpoint({}), patience=0.2)
        connection.open(soon(5))
        began = time.monotonic()
        with pytest.raises(TimeoutError) as caught:
            connection.start(b"x" * 50_000_000, began + 20)
        connection.close()
        is_over.set()
        assert caught.value.errno == errno.ETIMEDOUT
        assert time.monotonic() - began < 15
