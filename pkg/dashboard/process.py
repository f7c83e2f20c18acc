"""The composition root of the dashboard: builds what the process runs, starts it and stops it in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import structlog

from pkg.dashboard.access.people import People
from pkg.dashboard.access.rights import Rights
from pkg.dashboard.live.listing import Listing
from pkg.dashboard.live.rooms import Rooms
from pkg.dashboard.options import Options
from pkg.dashboard.site.application import Application
from pkg.dashboard.site.services import THREADS, Services
from pkg.kube.client import Client
from pkg.kube.config import ClientConfig
from pkg.serving.limits import Limits
from pkg.serving.server import Server
from pkg.version import VERSION

_AGENT: Final = f"workflow-dashboard/{VERSION}"
_FINISH_SECONDS: Final = 5.0
# Streams bound themselves: a viewer that takes nothing for a minute is cut off.
_LIMITS: Final = Limits(connections=4_000, answer_seconds=float("inf"), idle_seconds=75.0)
_log = structlog.get_logger("dashboard")


class Dashboard:
    """One process."""

    def __init__(self, options: Options, config: ClientConfig) -> None:
        self._options = options
        own = Client(config, user_agent=_AGENT, pool_size=8, timeout=30.0)
        people = People(options.auth, config, own, _client_of)
        self._rooms = Rooms(own)
        self._listing = Listing(own, options.scope)
        services = Services(
            people=people,
            rights=Rights(),
            rooms=self._rooms,
            listing=self._listing,
            pool=ThreadPoolExecutor(THREADS, thread_name_prefix="ask"),
            scope=options.scope,
            allow_actions=options.allow_actions,
            is_secure=bool(options.tls_cert_file) or options.secure_cookies,
            version=VERSION,
            server=config.shown_server,
            log_url_template=options.log_url_template,
        )
        self._server = Server(Application(services, options.allowed_host), _LIMITS, _cut, "dashboard")
        self.port = 0

    def start(self) -> None:
        """Serve. Raises BindError, BadCertificate, or OSError for a certificate file that cannot be read."""
        options = self._options
        self.port = self._server.start(options.bind_address, options.port)
        self._listing.start(self._server.loop)
        if options.tls_cert_file:
            self._server.use(Path(options.tls_cert_file).read_bytes(), Path(options.tls_private_key_file).read_bytes())
        else:
            self._server.serve_plain()

    @property
    def address(self) -> str:
        """Where it is on this machine."""
        scheme = "https" if self._options.tls_cert_file else "http"
        host = self._options.bind_address
        shown = {"": "localhost", "0.0.0.0": "localhost", "::": "localhost"}.get(host, host)
        return f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{self.port}/"

    def stop(self) -> None:
        """End all streams and the server."""
        self._server.stop(_FINISH_SECONDS)


def _client_of(config: ClientConfig) -> Client:
    return Client(config, user_agent=_AGENT, pool_size=4, timeout=30.0)


def _cut(reason: str) -> None:
    _log.debug("connection cut off", reason=reason)
