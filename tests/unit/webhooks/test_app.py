"""The process with a certificate in files: it serves, follows the files, becomes unready and ends as it is asked to."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pkg.webhooks.certificates.issue import Issued, issue
from tests.unit.kube.waiting import wait_for
from tests.unit.webhooks.server.serving import HOST, read_all, review

MAIN = Path(__file__).resolve().parents[3] / "cmd" / "workflow-webhook" / "main.py"
PATIENCE = 60.0


class Process:
    """workflow-webhook with a certificate in files; nobody answers at the API server's address."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        kubeconfig = folder / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
            "users": [{"name": "u", "user": {}}],
        }
        kubeconfig.write_text(json.dumps(config))
        own = (
            f"--kubeconfig={kubeconfig}",
            "--port=0",
            f"--bind-address={HOST}",
            f"--tls-cert-file={folder / 'tls.crt'}",
            f"--tls-private-key-file={folder / 'tls.key'}",
            "--health-bind-address=127.0.0.1:0",
            "--metrics-bind-address=127.0.0.1:0",
        )
        with self.log.open("wb") as out:
            self.process = subprocess.Popen([sys.executable, str(MAIN), *own, *flags], stdout=out, stderr=out)

    def line(self, event: str) -> dict[str, Any] | None:
        """The first line of the log with this event."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return next((line for line in lines if line["event"] == event), None)

    def wait_line(self, event: str) -> dict[str, Any]:
        wait_for(lambda: self.line(event) is not None, PATIENCE)
        return self.line(event) or {}

    def health(self, path: str) -> tuple[int, str]:
        url = self.wait_line("started")["health"].removeprefix("http://").removesuffix("/readyz")
        client = http.client.HTTPConnection(url, timeout=PATIENCE)
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read().decode()

    def connect(self, authority: bytes) -> ssl.SSLSocket:
        port = int(self.wait_line("started")["port"])
        plain = socket.create_connection((HOST, port), PATIENCE)
        return ssl.create_default_context(cadata=authority.decode()).wrap_socket(plain, server_hostname=HOST)

    def end(self) -> int:
        return self.process.wait(PATIENCE)


def put(folder: Path, issued: Issued) -> None:
    """Both files, as kubelet replaces them."""
    for name, content in (("tls.crt", issued.certificate), ("tls.key", issued.key)):
        (folder / f"{name}.new").write_bytes(content)
        os.replace(folder / f"{name}.new", folder / name)


def new_issued() -> Issued:
    return issue(frozenset({HOST}), time.time(), 3600.0)


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    """The certificate in the files."""
    made = new_issued()
    put(tmp_path, made)
    return made


@pytest.fixture
def started(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Process]:
    made = Process(tmp_path, *getattr(request, "param", ("--shutdown-delay=0s",)))
    yield made
    made.process.kill()
    made.process.wait()
    print(made.log.read_text())


def ask(connection: ssl.SSLSocket, *, half: bool = False) -> None:
    body = review(object={"metadata": {"name": "w"}, "spec": {"flows": []}})
    head = (
        f"POST /validate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + (body[:10] if half else body))


def test_it_serves_and_tells_how_it_is_and_ends_at_a_signal(issued: Issued, started: Process) -> None:
    with started.connect(issued.authority) as connection:
        ask(connection)
        seen = b""
        while b'"uid":"u-1"' not in seen:
            seen += connection.recv(65536)
        assert started.health("/healthz") == (200, "ok\n")
        assert started.health("/readyz")[0] in (200, 503)  # the API server cannot be reached
        started.process.send_signal(signal.SIGTERM)
        assert read_all(connection) == b""
    assert started.end() == 0


@pytest.mark.parametrize("started", [("--shutdown-delay=1h",)], indirect=True)
def test_it_is_unready_and_serves_on_after_a_signal_and_ends_at_once_at_the_second(
    issued: Issued, started: Process
) -> None:
    started.wait_line("serving")
    started.process.send_signal(signal.SIGTERM)
    started.wait_line("stopping")
    wait_for(lambda: "shutdown" in started.health("/readyz")[1])
    assert started.health("/healthz")[0] == 200
    with started.connect(issued.authority) as connection:
        ask(connection)
        assert b"connection: close" in read_all(connection)
    started.process.send_signal(signal.SIGINT)
    assert started.end() == 128 + signal.SIGINT


def test_a_request_that_is_arriving_when_the_signal_comes_is_answered(issued: Issued, started: Process) -> None:
    with started.connect(issued.authority) as connection:
        ask(connection, half=True)
        started.wait_line("serving")
        with started.connect(issued.authority) as later:  # what was sent before this is read before this is accepted
            ask(later)
            later.recv(65536)
        started.process.send_signal(signal.SIGTERM)
        started.wait_line("stopping")
        connection.sendall(review(object={"metadata": {"name": "w"}, "spec": {"flows": []}})[10:])
        assert b'"uid":"u-1"' in read_all(connection)
    assert started.end() == 0


def test_a_port_that_is_taken_ends_it_with_1(issued: Issued, tmp_path: Path) -> None:
    assert issued
    with socket.create_server((HOST, 0)) as taken:
        process = Process(tmp_path, f"--port={taken.getsockname()[1]}")
        assert process.end() == 1
    assert "--port" in process.log.read_text()
