"""The dashboard as a process: headers of its answers, and which certificate it serves while its files are replaced."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.dashboard import process
from pkg.dashboard.access.guard import HEADERS
from pkg.dashboard.options import options_of
from pkg.dashboard.process import Dashboard
from pkg.kube.config import ClientConfig
from pkg.serving.certificate_files import Files
from pkg.serving.certificate_source import Use
from pkg.serving.tls import BadCertificate
from pkg.webhooks.certificates.issue import Issued, issue
from tests.waiting import until

HOST = "127.0.0.1"
# Nobody answers there; nothing of this needs the API server.
NOWHERE = ClientConfig("http://127.0.0.1:1")


def new() -> Issued:
    return issue(frozenset({"localhost"}), time.time(), 3600.0)


def write(folder: Path, certificate: bytes, key: bytes) -> None:
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(key)


def served(dashboard: Dashboard) -> bytes:
    """The certificate of a new connection."""
    return ssl.get_server_certificate((HOST, dashboard.port)).strip().encode()


class Reader(Files):
    """Reads often, and counts how often it has."""

    looks = 0

    def __init__(self, certificate: Path, key: Path, use: Use) -> None:
        super().__init__(certificate, key, use, poll_seconds=0.01)

    def look(self) -> float:
        found = super().look()
        Reader.looks += 1
        return found


def made(folder: Path) -> Dashboard:
    files = (f"--tls-cert-file={folder / 'tls.crt'}", f"--tls-private-key-file={folder / 'tls.key'}")
    return Dashboard(options_of("--port=0", *files), NOWHERE)


@pytest.fixture
def first(tmp_path: Path) -> Issued:
    """A certificate that is in the files."""
    found = new()
    write(tmp_path, found.certificate, found.key)
    return found


@pytest.fixture
def dashboard(tmp_path: Path, first: Issued, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dashboard]:
    """One that reads its files often."""
    assert first
    monkeypatch.setattr(process, "Files", Reader)
    found = made(tmp_path)
    found.start()
    yield found
    found.stop()


def test_a_new_pair_is_served_and_one_that_does_not_fit_is_not(
    dashboard: Dashboard, tmp_path: Path, first: Issued
) -> None:
    assert served(dashboard) in first.certificate
    second, third = new(), new()
    write(tmp_path, second.certificate, third.key)
    seen = Reader.looks
    until(lambda: Reader.looks > seen + 1)  # one look at least began after the files were there
    assert served(dashboard) in first.certificate
    write(tmp_path, third.certificate, third.key)
    until(lambda: served(dashboard) in third.certificate)


@pytest.mark.parametrize("second", [True, False], ids=["of another key", "no certificate at all"])
def test_it_does_not_start_with_a_pair_that_cannot_be_used(tmp_path: Path, first: Issued, second: bool) -> None:
    write(tmp_path, new().certificate if second else b"words", first.key)
    found = made(tmp_path)
    try:
        with pytest.raises(BadCertificate):
            found.start()
    finally:
        found.stop()


def test_it_does_not_start_without_its_files(tmp_path: Path) -> None:
    found = made(tmp_path)
    try:
        with pytest.raises(FileNotFoundError, match=r"tls\.crt"):
            found.start()
    finally:
        found.stop()


@pytest.fixture
def plain() -> Iterator[Dashboard]:
    """One without a certificate."""
    found = Dashboard(options_of("--port=0"), NOWHERE)
    found.start()
    yield found
    found.stop()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: localhost", b"200 OK"),
        (b"GET /healthz HTTP/1.1\r\nHost: rebound.example", b"200 OK"),
        (b"GET / HTTP/1.1\r\nHost: rebound.example", b"403 Forbidden"),
        (b"<script> HTTP/1.1\r\nHost: localhost", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\nHost localhost", b"400 Bad Request"),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost", b"400 Bad Request"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many", b"400 Bad Request"),
    ],
    ids=[
        "what is answered",
        "a health check",
        "what is refused",
        "no method",
        "a header without a colon",
        "an address of other characters",
        "a length that is no number",
    ],
)
def test_every_answer_says_once_what_a_browser_may_do(plain: Dashboard, sent: bytes, status: bytes) -> None:
    """Also to what is no HTTP, which the application never sees."""
    with socket.create_connection((HOST, plain.port), timeout=20) as connection:
        connection.sendall(sent + b"\r\nConnection: close\r\n\r\n")
        with connection.makefile("rb") as answered:
            head, _, _ = answered.read().partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert first == b"HTTP/1.1 " + status
    for name, value in HEADERS:
        assert lines.count(f"{name}: {value}".encode()) == 1
