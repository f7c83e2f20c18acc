"""The metrics of API calls, which every process that has a client exports."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from pkg.apis.meta import GVR

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ApiMetrics:
    """Counts the API calls of one process.

    Children of labelled metrics are kept: the lookup costs more than the count.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        by_request = ("verb", "resource")
        self.rest_client_requests = Counter(
            "rest_client_requests_total",
            "API calls by HTTP status; <error> when none came",
            (*by_request, "code"),
            registry=registry,
        )
        self.rest_client_request_duration = Histogram(
            "rest_client_request_duration_seconds",
            "Seconds of an API call",
            by_request,
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self._requests: dict[tuple[str, str, int], Counter] = {}
        self._durations: dict[tuple[str, str], Histogram] = {}

    def on_request(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """Count an API call; an observer of `pkg.kube.client.Client`."""
        counted = self._requests.get((verb, resource, code))
        if counted is None:
            counted = self.rest_client_requests.labels(verb, resource, str(code) if code else "<error>")
            self._requests[verb, resource, code] = counted
        counted.inc()
        if verb == "watch":
            return  # the time to open a watch is not that of a call
        timed = self._durations.get((verb, resource))
        if timed is None:
            timed = self._durations[verb, resource] = self.rest_client_request_duration.labels(verb, resource)
        timed.observe(seconds)

    def forget_resource(self, gvr: GVR) -> None:
        """Drop every series of a resource."""
        resource = gvr.group_resource
        for request in [request for request in list(self._requests) if request[1] == resource]:
            self._requests.pop(request, None)
        for call in [call for call in list(self._durations) if call[1] == resource]:
            self._durations.pop(call, None)
        for metric in (self.rest_client_requests, self.rest_client_request_duration):
            metric.remove_by_labels({"resource": resource})
