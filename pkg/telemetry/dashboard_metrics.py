"""Every metric of the dashboard. docs/metrics.md explains each.

No label is chosen by a client: paths without a handler are counted as `other`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from pkg.telemetry.api_metrics import ApiMetrics

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class DashboardMetrics:
    """All metrics of one dashboard, and the registry that holds them."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry = registry or CollectorRegistry()
        self.api = ApiMetrics(registry)
        self.requests = Counter("dashboard_requests_total", "Requests answered", ("path", "code"), registry=registry)
        self.duration = Histogram(
            "dashboard_request_duration_seconds",
            "Seconds from a request to the beginning of its answer",
            ("path",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.streams = Gauge("dashboard_streams", "Open streams", ("kind",), registry=registry)
        self.sent = Counter("dashboard_stream_bytes_total", "Bytes sent to streams", ("kind",), registry=registry)
        self.resyncs = Counter(
            "dashboard_resyncs_total",
            "Viewers that were too slow and got the whole state instead of what they had missed",
            registry=registry,
        )
        self.cut = Counter(
            "dashboard_streams_ended_total", "Streams ended by the dashboard", ("reason",), registry=registry
        )
        self.rooms = Gauge("dashboard_rooms", "Workflows that are watched for viewers", registry=registry)
        self.workflows = Gauge("dashboard_workflows", "Workflows in the list", registry=registry)
        self.reachable = Gauge(
            "dashboard_api_reachable", "1 while the watch of the list works, else 0", registry=registry
        )
        self.logins = Gauge("dashboard_logins", "Logins in memory", registry=registry)
        self.actions = Counter(
            "dashboard_actions_total", "Changes that people asked for", ("action", "outcome"), registry=registry
        )
        self.connections = Gauge("dashboard_connections", "Open connections", registry=registry)
        self.connections_cut = Counter(
            "dashboard_connections_cut_total",
            "Connections cut off because the client was slow, or there were too many",
            ("reason",),
            registry=registry,
        )

    def with_process(self) -> DashboardMetrics:
        """Add the metrics of the process itself: CPU, memory, descriptors, garbage collection."""
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        return self

    def answered(self, path: str, code: int, seconds: float) -> None:
        """An answer has begun."""
        self.requests.labels(path, str(code)).inc()
        self.duration.labels(path).observe(seconds)

    def connection_cut(self, reason: str) -> None:
        """A connection was cut off."""
        self.connections_cut.labels(reason).inc()

    def follow(
        self,
        streams: Mapping[str, Callable[[], float]],
        gauges: Mapping[Gauge, Callable[[], float]],
    ) -> None:
        """Call these at every scrape. streams: by kind."""
        for kind, count in streams.items():
            self.streams.labels(kind).set_function(count)
        for gauge, value in gauges.items():
            gauge.set_function(value)
