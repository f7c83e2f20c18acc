"""The HTTP doors, asked over real sockets on the loopback interface."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from pkg.telemetry import health
from pkg.telemetry.health import AUTO, BindError, Checks, TelemetryServer, parse_address
from pkg.telemetry.metrics import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def checks() -> Checks:
    return Checks()


@pytest.fixture
def server(metrics: Metrics, checks: Checks) -> Iterator[TelemetryServer]:
    made = TelemetryServer(metrics.registry, Checks(), checks)
    yield made
    made.stop()


def ask(address: tuple[str, int], path: str, method: str = "GET") -> tuple[int, str]:
    connection = HTTPConnection(*address, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_metrics_and_health_have_doors_of_their_own(server: TelemetryServer, metrics: Metrics) -> None:
    metrics.workflow_status_writes.inc(3)
    server.start("127.0.0.1:0", "127.0.0.1:0")
    for_metrics, for_health = server.addresses
    status, text = ask(for_metrics, "/metrics")
    assert status == 200
    assert "workflow_status_writes_total 3.0" in text
    assert ask(for_health, "/healthz") == (200, "ok\n")
    assert ask(for_health, "/metrics")[0] == 404
    assert ask(for_metrics, "/healthz")[0] == 404


def test_one_address_serves_both(server: TelemetryServer) -> None:
    address = ("127.45.67.89", 18080)  # a loopback address of its own, so that the port is free
    server.start("127.45.67.89:18080", "127.45.67.89:18080")
    assert server.addresses == [address]
    assert ask(address, "/metrics")[0] == 200
    assert ask(address, "/readyz")[0] == 200


def test_a_failed_check_says_which_and_why(server: TelemetryServer, checks: Checks) -> None:
    synced = ["workflows are not listed yet"]
    checks.add("informers", lambda: synced[0] or None)
    checks.add("broken", lambda: str(1 // 0))
    checks.add("fine", lambda: None)
    server.start("0", "127.0.0.1:0")
    [address] = server.addresses
    status, text = ask(address, "/readyz")
    assert status == 503
    assert text.splitlines() == [
        "[-] informers workflows are not listed yet",
        "[-] broken ZeroDivisionError: integer division or modulo by zero",
        "[+] fine ok",
    ]
    assert ask(address, "/healthz") == (200, "ok\n")


def test_a_passed_check_is_listed_when_asked_for(server: TelemetryServer, checks: Checks) -> None:
    checks.add("fine", lambda: None)
    server.start("0", "127.0.0.1:0")
    [address] = server.addresses
    assert ask(address, "/readyz") == (200, "ok\n")
    assert ask(address, "/readyz?verbose") == (200, "[+] fine ok\n")
    assert ask(address, "/readyz", "HEAD") == (200, "")


def test_both_off_listens_nowhere(server: TelemetryServer) -> None:
    server.start("0", "0")
    assert server.addresses == []


def test_a_port_in_use_names_the_flag_and_leaves_nothing_open(server: TelemetryServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BindError, match=f"cannot listen on 127.0.0.1:{port} .* with --health-bind-address, auto"):
            server.start("127.0.0.1:0", f"127.0.0.1:{port}")
    assert server.addresses == []


def test_auto_serves_both_on_one_port_of_loopback(server: TelemetryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "DEFAULT_ADDRESS", ("127.45.67.90", 10280))
    server.start(AUTO, AUTO)
    assert server.addresses == [("127.45.67.90", 10280)]
    assert ask(server.addresses[0], "/metrics")[0] == ask(server.addresses[0], "/readyz")[0] == 200
    assert server.url("/readyz") == "http://127.45.67.90:10280/readyz"


def test_auto_takes_a_free_port_of_the_same_host_if_its_own_is_taken(
    server: TelemetryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(health, "DEFAULT_ADDRESS", ("127.0.0.1", port))
        server.start(AUTO, AUTO)
    [(host, moved)] = server.addresses
    assert (host, moved) != ("127.0.0.1", port)
    assert host == "127.0.0.1"
    assert ask((host, moved), "/metrics")[0] == 200


def test_a_port_that_was_asked_for_does_not_move_to_serve_auto_as_well(
    server: TelemetryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(health, "DEFAULT_ADDRESS", ("127.0.0.1", port))
        with pytest.raises(BindError, match="--metrics-bind-address"):
            server.start(f"127.0.0.1:{port}", AUTO)


def test_what_is_served_nowhere_has_no_url(server: TelemetryServer) -> None:
    server.start("0", "127.0.0.1:0")
    assert server.url("/metrics") is None


ADDRESSES: dict[str, tuple[str, tuple[str, int] | None]] = {
    "off": ("0", None),
    "nothing": ("", None),
    "all interfaces": (":8080", ("", 8080)),
    "one interface": ("127.0.0.1:8080", ("127.0.0.1", 8080)),
    "auto": (AUTO, ("127.0.0.1", 10280)),
    "a name": ("localhost:1", ("localhost", 1)),
    "IPv6": ("[::1]:8080", ("::1", 8080)),
}


@pytest.mark.parametrize(("address", "expected"), ADDRESSES.values(), ids=ADDRESSES.keys())
def test_an_address(address: str, expected: tuple[str, int] | None) -> None:
    assert parse_address(address, "--flag") == expected


@pytest.mark.parametrize("address", ["8080", "host", "host:", "host:http", ":65536", "::1:80", "host:-1"])
def test_an_address_that_is_none_names_the_flag(address: str) -> None:
    with pytest.raises(BindError, match="--flag is"):
        parse_address(address, "--flag")
