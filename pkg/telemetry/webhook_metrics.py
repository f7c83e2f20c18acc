"""Every metric of the admission webhook. docs/metrics.md explains each.

No label is chosen by a client: paths without a handler are counted as `other`.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from pkg.telemetry.api_metrics import ApiMetrics

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)


class WebhookMetrics:
    """All metrics of one webhook process, and the registry that holds them."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry = registry or CollectorRegistry()
        self.api = ApiMetrics(registry)
        self.requests = Counter(
            "webhook_requests_total", "Requests answered, by verdict", ("path", "allowed", "code"), registry=registry
        )
        self.duration = Histogram(
            "webhook_request_duration_seconds",
            "Seconds from the header of a request to its answer",
            ("path",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "webhook_requests_in_flight", "Requests that are judged or wait for a thread", registry=registry
        )
        self.connections = Gauge("webhook_connections", "Open connections", registry=registry)
        self.connections_cut = Counter(
            "webhook_connections_cut_total",
            "Connections cut off because the client was slow",
            ("reason",),
            registry=registry,
        )
        self.certificate_expiry = Gauge(
            "webhook_certificate_expiry_timestamp_seconds",
            "When the certificate in use expires, in seconds since the epoch",
            registry=registry,
        )

    def with_process(self) -> WebhookMetrics:
        """Add the metrics of the process itself: CPU, memory, descriptors, garbage collection."""
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        return self

    def answered(self, path: str, *, allowed: bool, code: int, seconds: float) -> None:
        """A request was answered."""
        self.requests.labels(path, "true" if allowed else "false", str(code)).inc()
        self.duration.labels(path).observe(seconds)

    def cut(self, reason: str) -> None:
        """A connection was cut off."""
        self.connections_cut.labels(reason).inc()

    def follow_server(self, running: Callable[[], int], connections: Callable[[], int]) -> None:
        """Call these at every scrape: how many requests are judged, and how many connections are open."""
        self.in_flight.set_function(running)
        self.connections.set_function(connections)
