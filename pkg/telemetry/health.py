"""The HTTP server of /metrics for Prometheus, and of /healthz and /readyz for the kubelet.

It has a thread per request, so that a scrape never waits for a worker and a check that hangs never hides the metrics.
"""

from __future__ import annotations

import errno
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

Check = Callable[[], str | None]
"""None if the check passes, else what is wrong."""

_log = structlog.get_logger("health")
_REQUEST_SECONDS = 5.0
_METRICS = frozenset({"/metrics"})

AUTO = "auto"
"""The address for `DEFAULT_ADDRESS`, or for a free port of the same host if that one is taken."""
DEFAULT_ADDRESS = ("127.0.0.1", 10280)
"""On loopback, so that nobody else reaches it and no simulated pod, which has an address of its own, wants it."""


class BindError(Exception):
    """An address to listen on that is malformed or taken; the message names the flag and the remedy."""


class Checks:
    """Named checks behind one path; `?verbose` lists them, a failed one makes the answer 503."""

    def __init__(self, checks: Mapping[str, Check] | None = None) -> None:
        self._checks: dict[str, Check] = dict(checks or {})

    def add(self, name: str, check: Check) -> None:
        """Add a check."""
        self._checks = {**self._checks, name: check}

    def run(self) -> dict[str, str | None]:
        """The result of each check by name; a check that raises has failed."""
        return {name: _result(check) for name, check in self._checks.items()}


def _result(check: Check) -> str | None:
    try:
        return check()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def parse_address(address: str, flag: str) -> tuple[str, int] | None:
    """Host and port of `host:port`, `[v6]:port`, `:port` (all interfaces) or `auto`; None for `0`, which means off."""
    if address.strip() in {"", "0"}:
        return None
    if address.strip() == AUTO:
        return DEFAULT_ADDRESS
    host, colon, port = address.strip().rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BindError(f"{flag} is {address!r}; it must be HOST:PORT, :PORT (all interfaces), auto or 0 (off)")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise BindError(f"{flag} is {address!r}; an IPv6 address needs brackets: [{host}]:{port}")
    return host, int(port)


class TelemetryServer:
    """Serves metrics and health on their addresses, on one port if both are the same."""

    def __init__(self, registry: CollectorRegistry, healthz: Checks, readyz: Checks) -> None:
        self._registry = registry
        self._checks = {"/healthz": healthz, "/livez": healthz, "/readyz": readyz}
        self._servers: list[_Server] = []

    def start(self, metrics_address: str, health_address: str) -> None:
        """Listen; BindError if an address is malformed or cannot be had. `0` turns one off.

        `auto` takes a free port if its own is taken: nobody asked for that port, and a second controller on the same
        machine, such as a spare, should start. A port that was asked for is an error, because somebody relies on it.
        """
        for_metrics = parse_address(metrics_address, "--metrics-bind-address")
        for_health = parse_address(health_address, "--health-bind-address")
        health = frozenset(self._checks)
        listeners = [
            (for_metrics, "--metrics-bind-address", _METRICS, metrics_address.strip() == AUTO),
            (for_health, "--health-bind-address", health, health_address.strip() == AUTO),
        ]
        # Port 0 means any free port, so that twice 0 is two ports.
        if for_metrics is not None and for_metrics == for_health and for_metrics[1] != 0:
            listeners = [(*listeners[0][:2], _METRICS | health, listeners[0][3] and listeners[1][3])]
        try:
            for address, flag, paths, may_move in listeners:
                if address is not None:
                    self._servers.append(self._listen_near(*address, flag, paths, may_move=may_move))
        except BindError:
            self.stop()
            raise

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, metrics first."""
        return [(str(server.server_address[0]), server.server_port) for server in self._servers]

    def url(self, path: str) -> str | None:
        """The URL of `/metrics`, `/healthz` or `/readyz`; None if it is served nowhere."""
        for server, (host, port) in zip(self._servers, self.addresses, strict=True):
            if path in server.paths:
                return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"
        return None

    def stop(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers.clear()

    def _listen_near(self, host: str, port: int, flag: str, paths: frozenset[str], *, may_move: bool) -> _Server:
        """Listens on `port`, or if it is in use and `may_move` is set, on a free port of the same host."""
        try:
            return self._listen(host, port, flag, paths)
        except BindError as error:
            if not may_move or getattr(error.__cause__, "errno", None) != errno.EADDRINUSE:
                raise
        server = self._listen(host, 0, flag, paths)
        _log.warning(
            "the default port is in use by another process; listening on a free port",
            default=f"{host}:{port}",
            address=f"{host}:{server.server_port}",
            hint=f"name an address with {flag}, or 0 for none",
        )
        return server

    def _listen(self, host: str, port: int, flag: str, paths: frozenset[str]) -> _Server:
        try:
            server = _Server(host, port, self._registry, {p: self._checks.get(p) for p in paths})
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BindError(
                f"cannot listen on {host or '*'}:{port} ({reason}); give another address with {flag}, auto for a free "
                "port of this machine alone, or 0 for none"
            ) from error
        threading.Thread(target=server.serve_forever, args=(0.05,), name="telemetry", daemon=True).start()
        return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, registry: CollectorRegistry, paths: Mapping[str, Checks | None]) -> None:
        self.registry = registry
        self.paths = paths
        if ":" in host or (not host and socket.has_dualstack_ipv6()):
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6 and not self.server_address[0]:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not HTTPServer's own, which looks up the host name and may wait for the name service.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away needs no traceback."""
        _log.debug("telemetry request failed", client=str(client_address), exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path not in self.server.paths:
            self._answer(404, f"not found; there is {', '.join(sorted(self.server.paths))}\n".encode())
            return
        checks = self.server.paths[path]
        if checks is None:
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.server.registry), content_type)
            return
        results = checks.run()
        failed = any(results.values())
        lines = [f"[{'-' if why else '+'}] {name} {why or 'ok'}" for name, why in results.items()]
        text = "\n".join(lines) if lines and (failed or "verbose" in query) else "ok"
        self._answer(503 if failed else 200, f"{text}\n".encode())

    do_HEAD = do_GET

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Scrapes are not logged."""
