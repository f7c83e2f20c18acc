"""A server on 127.0.0.1, and clients that speak to it over real sockets."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pkg.serving.limits import Limits
from pkg.serving.server import Server
from pkg.webhooks.certificates.issue import Issued, issue
from pkg.webhooks.review import Answer, Request
from pkg.webhooks.server.application import Application, Handler

HOST = "127.0.0.1"
PATIENCE = 30.0


def new_certificate() -> Issued:
    """A certificate for 127.0.0.1 with a CA of its own, valid around the present of this machine."""
    return issue(frozenset({HOST}), time.time(), 3600.0)


def allow(_request: Request) -> Answer:
    """A handler that allows everything."""
    return Answer(allowed=True)


def review(uid: str = "u-1", **fields: Any) -> bytes:
    """An AdmissionReview as the API server posts it."""
    request = {
        "uid": uid,
        "kind": {"group": "flow.workflow.sh", "version": "v1alpha1", "kind": "Workflow"},
        "resource": {"group": "flow.workflow.sh", "version": "v1alpha1", "resource": "workflows"},
        "namespace": "default",
        "name": "w",
        "operation": "CREATE",
        "userInfo": {"username": "ada", "groups": ["system:authenticated"]},
        "object": {"metadata": {"name": "w"}, "spec": {"flows": [{"name": "a"}]}},
        "oldObject": None,
        **fields,
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


@dataclass
class Counted:
    """The observer of a server: what it was told."""

    answers: list[tuple[str, bool, int]] = field(default_factory=list)
    cuts: Counter[str] = field(default_factory=Counter)

    def answered(self, path: str, *, allowed: bool, code: int, seconds: float) -> None:
        assert seconds >= 0
        self.answers.append((path, allowed, code))

    def cut(self, reason: str) -> None:
        self.cuts[reason] += 1


@dataclass
class Serving:
    """A server that runs."""

    server: Server
    app: Application
    port: int
    certificate: Issued
    counted: Counted

    def tls(self, *authorities: bytes) -> ssl.SSLContext:
        """A client's context that trusts the CA of the first certificate, or these (PEM)."""
        trusted = b"".join(authorities or (self.certificate.authority,)).decode()
        context = ssl.create_default_context(cadata=trusted)
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def connect(self, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """A connection after its handshake."""
        plain = socket.create_connection((HOST, self.port), PATIENCE)
        return (context or self.tls()).wrap_socket(plain, server_hostname=HOST)

    def client(self, context: ssl.SSLContext | None = None) -> http.client.HTTPSConnection:
        """An HTTP client that keeps its connection."""
        return http.client.HTTPSConnection(HOST, self.port, context=context or self.tls(), timeout=PATIENCE)

    def post(self, body: bytes, path: str = "/validate", **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer, over a new connection."""
        client = self.client()
        try:
            given = {"Content-Type": "application/json", **{key.replace("_", "-"): v for key, v in headers.items()}}
            client.request("POST", path, body, given)
            answer = client.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            client.close()


@contextmanager
def serving(
    handlers: Mapping[str, Handler] | None = None, limits: Limits | None = None, certificate: Issued | None = None
) -> Iterator[Serving]:
    """A server for the length of the block; it allows everything unless handlers are given."""
    limits, counted = limits or Limits(), Counted()
    app = Application(handlers or {"/validate": allow, "/mutate": allow}, limits, counted)
    server = Server(app, limits, counted.cut, "webhook")
    made = certificate or new_certificate()
    port = server.start(HOST, 0)
    try:
        server.use(made.certificate, made.key)
        yield Serving(server, app, port, made, counted)
    finally:
        server.stop(5.0)


def read_all(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except (ConnectionResetError, ssl.SSLEOFError):
        pass
    return b"".join(parts)
