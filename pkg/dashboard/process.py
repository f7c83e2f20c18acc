"""The composition root of the dashboard: builds what the process runs, starts it and stops it in order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from pkg.dashboard.access.guard import HEADERS
from pkg.dashboard.access.people import Auth, People
from pkg.dashboard.access.rights import Rights
from pkg.dashboard.access.shares import Shares
from pkg.dashboard.live.listing import Listing
from pkg.dashboard.live.rooms import Rooms
from pkg.dashboard.options import Options
from pkg.dashboard.site.application import Application
from pkg.dashboard.site.services import THREADS, Services
from pkg.dashboard.site.visits import Stream, Visits
from pkg.kube.client import Client
from pkg.kube.config import ClientConfig
from pkg.serving.certificate_files import Files
from pkg.serving.limits import Limits
from pkg.serving.server import Server
from pkg.telemetry.dashboard_metrics import DashboardMetrics
from pkg.telemetry.health import Checks, TelemetryServer
from pkg.version import VERSION

_AGENT: Final = f"workflow-dashboard/{VERSION}"
_FINISH_SECONDS: Final = 5.0
# Streams bound themselves: a viewer that takes nothing for a minute is cut off.
_LIMITS: Final = Limits(connections=4_000, answer_seconds=float("inf"), idle_seconds=75.0)


class Dashboard:
    """One process."""

    def __init__(self, options: Options, config: ClientConfig) -> None:
        self._options = options
        self.metrics = metrics = DashboardMetrics()
        own = self._client(config, 8)
        people = People(options.auth, config, own, self._client)
        rooms = Rooms(own)
        self._listing = Listing(own, options.scope)
        visits = Visits(is_shared=options.auth is Auth.LOCAL)
        services = Services(
            people=people,
            rights=Rights(),
            rooms=rooms,
            listing=self._listing,
            visits=visits,
            shares=Shares(options.requests_per_second, is_shared=options.auth is Auth.LOCAL),
            metrics=metrics,
            pool=ThreadPoolExecutor(THREADS, thread_name_prefix="ask"),
            scope=options.scope,
            allow_actions=options.allow_actions,
            is_secure=bool(options.tls_cert_file) or options.secure_cookies,
            version=VERSION,
            server=config.shown_server,
            log_url_template=options.log_url_template,
            base_path=options.base_path,
        )
        app = Application(services, options.allowed_host)
        self._server = Server(app, _LIMITS, metrics.connection_cut, "dashboard", HEADERS)
        self._certificates: Files | None = None
        if options.tls_cert_file:
            files = Path(options.tls_cert_file), Path(options.tls_private_key_file)
            self._certificates = Files(*files, self._server.use)
        self._telemetry = TelemetryServer(metrics.registry, Checks(), Checks())
        metrics.follow(
            {kind: partial(visits.count, kind) for kind in Stream},
            {
                metrics.rooms: lambda: len(rooms),
                metrics.workflows: lambda: len(self._listing.lines),
                metrics.reachable: lambda: float(not self._listing.trouble),
                metrics.logins: lambda: people.logins,
                metrics.connections: lambda: self._server.connections,
            },
        )
        self.port = 0

    def start(self) -> None:
        """Serve. Raises BindError, BadCertificate, or OSError for a certificate file that cannot be read."""
        options = self._options
        self._telemetry.start(options.metrics_bind_address, "0")
        try:
            self.port = self._server.start(options.bind_address, options.port)
            self._listing.start(self._server.loop)
            if self._certificates is None:
                self._server.serve_plain()
            else:
                # At the start a certificate that cannot be used is an error; later the previous one stays in use.
                self._server.use(
                    Path(options.tls_cert_file).read_bytes(), Path(options.tls_private_key_file).read_bytes()
                )
                self._certificates.start()
        except Exception:
            self._telemetry.stop()
            raise

    @property
    def metrics_url(self) -> str | None:
        """Where metrics are served; None if they are not."""
        return self._telemetry.url("/metrics")

    @property
    def address(self) -> str:
        """Where it is on this machine."""
        scheme = "https" if self._options.tls_cert_file else "http"
        host = self._options.bind_address
        shown = {"": "localhost", "0.0.0.0": "localhost", "::": "localhost"}.get(host, host)
        return f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{self.port}{self._options.base_path}/"

    def stop(self) -> None:
        """End all streams and the server."""
        if self._certificates is not None:
            self._certificates.stop()
        self._server.stop(_FINISH_SECONDS)
        self._telemetry.stop()

    def _client(self, config: ClientConfig, pool_size: int = 4) -> Client:
        made = Client(config, user_agent=_AGENT, pool_size=pool_size, timeout=30.0)
        made.add_observer(self.metrics.api.on_request)
        return made
