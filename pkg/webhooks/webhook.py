"""The composition root of the webhook: builds what the process runs, starts it and stops it in order."""

from __future__ import annotations

import threading
import time

import structlog

from pkg.controllers.engine.access_cache import AccessCache, AccessTiming
from pkg.controllers.engine.access_reviews import THREADS, AccessReviews
from pkg.kube.access import is_allowed
from pkg.kube.client import Client
from pkg.kube.config import ClientConfig
from pkg.serving.certificate_files import Files
from pkg.serving.limits import Limits
from pkg.serving.server import Server
from pkg.telemetry.health import Checks, TelemetryServer
from pkg.telemetry.webhook_metrics import WebhookMetrics
from pkg.version import VERSION
from pkg.webhooks.authorizer import Authorizer, LiveOwners
from pkg.webhooks.catalogue import CachedCatalogue
from pkg.webhooks.certificates.injection import Injector
from pkg.webhooks.certificates.issue import Unreadable, expiry
from pkg.webhooks.certificates.keeper import Keeper, Place
from pkg.webhooks.certificates.plan import Policy
from pkg.webhooks.handlers import Handlers
from pkg.webhooks.options import Options
from pkg.webhooks.server.application import Application

_FINISH_SECONDS = 15.0
# The API server waits ten seconds for the webhook.
_ASK_SECONDS = 4.0
# Early words may be a little old: the controller asks again. A right that was just granted should be seen at once.
_EARLY = AccessTiming(allowed=30.0, denied=2.0)
_AGENT = f"workflow-webhook/{VERSION}"
_log = structlog.get_logger("webhook")


class Webhook:
    """One process. Serves from the moment that it has a certificate."""

    def __init__(
        self,
        options: Options,
        config: ClientConfig,
        metrics: WebhookMetrics,
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
    ) -> None:
        self._options = options
        self._metrics = metrics
        client = Client(config, user_agent=f"{_AGENT} (caches)", pool_size=8)
        client.add_observer(metrics.api.on_request)
        self._catalogue = CachedCatalogue(client)
        asking = Client(config, user_agent=f"{_AGENT} (access)", pool_size=THREADS + 4, timeout=_ASK_SECONDS)
        asking.add_observer(metrics.api.on_request)
        self._access = AccessReviews(lambda question: is_allowed(asking, question), cache=AccessCache(_EARLY))
        people = Authorizer(
            options.authorize,
            self._access,
            controller=options.controller_user,
            owners=LiveOwners(asking),
            find=self._catalogue.template,
        )
        handlers = Handlers(self._catalogue, people)
        self._app = Application({"/validate": handlers.validate, "/mutate": handlers.mutate}, limits, metrics)
        self._server = Server(self._app, limits, metrics.cut, "webhook")
        metrics.follow_server(lambda: self._app.running, lambda: self._server.connections)
        self._source = self._make_source(options, config)
        self._expiry = 0.0
        self._stopping = threading.Event()
        self.healthz = Checks({"event loop": self._server.hangs})
        self.readyz = Checks(
            {
                "certificate": self._lacks_certificate,
                "templates": self._catalogue.lacks,
                "shutdown": lambda: "it runs" if self._stopping.is_set() else None,
            }
        )
        self._telemetry = TelemetryServer(metrics.registry, self.healthz, self.readyz)
        self.port = options.port

    def start(self) -> None:
        """Raises BindError for an address that cannot be had."""
        self._telemetry.start(self._options.metrics_bind_address, self._options.health_bind_address)
        try:
            self.port = self._server.start(self._options.bind_address, self._options.port)
        except Exception:
            self._telemetry.stop()
            raise
        self._catalogue.start()
        self._access.start()
        self._source.start()

    def served_at(self) -> dict[str, str]:
        """The addresses, for the log."""
        urls = {name: self._telemetry.url(path) for name, path in (("metrics", "/metrics"), ("health", "/readyz"))}
        return {"port": str(self.port), **{name: url for name, url in urls.items() if url}}

    def stop(self) -> None:
        """Becomes unready, serves on until nobody comes any more, answers what has begun, and ends."""
        self._stopping.set()
        self._server.drain()
        time.sleep(self._options.shutdown_delay)
        self._source.stop()
        self._server.stop(_FINISH_SECONDS)
        # What the last requests were judged with.
        self._catalogue.stop()
        self._access.stop()
        self._telemetry.stop()

    def _make_source(self, options: Options, config: ClientConfig) -> Keeper | Files:
        if options.files is not None:
            return Files(*options.files, self._use)
        client = Client(config, user_agent=f"{_AGENT} (certificates)", pool_size=1)
        client.add_observer(self._metrics.api.on_request)
        return Keeper(
            client,
            Place(options.namespace, options.secret_name),
            options.names,
            Policy.of(options.certificate_lifetime),
            Injector(
                client,
                options.webhook_configuration_name,
                is_writing=options.inject_ca,
                local_url=options.local_url,
            ),
            self._use,
            time.time,
        )

    def _use(self, certificate: bytes, key: bytes) -> None:
        self._server.use(certificate, key)
        try:
            self._expiry = expiry(certificate)
        except Unreadable as error:  # OpenSSL takes some forms that the library does not
            _log.warning("the expiry of the certificate is not known", error=str(error))
            return
        self._metrics.certificate_expiry.set(self._expiry)
        _log.info("serving", port=self.port, certificate_expires=time.strftime("%FT%TZ", time.gmtime(self._expiry)))

    def _lacks_certificate(self) -> str | None:
        if (lacks := self._source.lacks()) is not None:
            return lacks
        if self._expiry and self._expiry <= time.time():
            return "the certificate has expired; the log says why it was not replaced"
        return None
