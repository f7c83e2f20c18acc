"""An admission webhook that allows everything after some seconds: creations, or all writes, hang for that long."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hack.cluster.api import Api
from hack.faults.certificate import self_signed

LABEL = "hostile.workflow.sh/hangs"
"""Writes of objects with this label hang."""
_NAME = "slow.hostile.workflow.sh"
_PATH = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class SlowWebhook:
    """Is registered for objects with LABEL in some namespaces, until the end of the `with` block."""

    def __init__(
        self,
        api: Api,
        namespaces: Sequence[str],
        folder: Path,
        *,
        seconds: float = 10.0,
        operations: Sequence[str] = ("CREATE",),
    ) -> None:
        """operations: CREATE, UPDATE, DELETE; those of subresources, such as status, are among them."""
        self._api = api
        self._namespaces = list(namespaces)
        self._operations = list(operations)
        self._folder = folder
        self._closed = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(seconds, self._closed))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="slow webhook", daemon=True)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        cert, key = self_signed(self._folder)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert, key)
        # The handshake runs in the thread of the connection, so one that hangs delays no other.
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread.start()
        self._api.request("POST", _PATH, self._configuration(cert.read_bytes()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def _configuration(self, certificate: bytes) -> dict[str, Any]:
        rule = {
            "apiGroups": ["*"],
            "apiVersions": ["*"],
            "resources": ["*/*"],
            "operations": self._operations,
        }
        chosen = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": self._namespaces}
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": _NAME},
            "webhooks": [
                {
                    "name": _NAME,
                    "clientConfig": {
                        "url": f"https://127.0.0.1:{self._server.server_address[1]}/",
                        "caBundle": base64.b64encode(certificate).decode(),
                    },
                    "rules": [rule],
                    "namespaceSelector": {"matchExpressions": [chosen]},
                    "objectSelector": {"matchLabels": {LABEL: "yes"}},
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                    "failurePolicy": "Ignore",
                    "timeoutSeconds": 30,
                }
            ],
        }


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Logs nothing: callers that give up earlier are expected."""


def _handler(seconds: float, closed: threading.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            closed.wait(seconds)
            review["response"] = {"uid": review.pop("request")["uid"], "allowed": True}
            body = json.dumps(review).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            """Logs nothing."""

    return Handler
