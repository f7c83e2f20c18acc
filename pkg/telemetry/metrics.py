"""Every metric of the controller, in one place and under the names that dashboards for controllers use.

The label `resource` carries the group: `jobs.batch`, and `pods` of the core group.

No label grows with the number of workflows: none holds the name of a workflow, a flow, a job or a namespace.
docs/metrics.md explains each metric, with rules that use them.

A process that has never led exports nothing of what only a leader does, and only the leader exports the numbers of
workflows: a sum over all replicas is right. A registry of its own, so that two controllers in one process (tests) do
not share counts. Children of labelled metrics are looked up once and kept: the lookup costs more than the count.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from pkg.apis.meta import GVR
from pkg.telemetry.api_metrics import ApiMetrics
from pkg.telemetry.census import Census
from pkg.telemetry.cron_metrics import CronMetrics

# A series `_created` for each counter and histogram would double what a scrape reads, and nobody uses it.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no types here
_QUEUE_SECONDS = (0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_WORK_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# One second to a week.
_WORKFLOW_SECONDS = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86400, 3 * 86400, 7 * 86400)


class Queue(Protocol):
    """What is read of a workqueue at a scrape."""

    def __len__(self) -> int: ...

    def unfinished_seconds(self) -> float: ...

    def longest_running_seconds(self) -> float: ...

    def parked(self) -> int: ...


class QueueMetrics:
    """The metrics of one workqueue; all times in seconds."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._depth = metrics.workqueue_depth.labels(name)
        self._adds = metrics.workqueue_adds.labels(name)
        self._retries = metrics.workqueue_retries.labels(name)
        self._unfinished = metrics.workqueue_unfinished_work.labels(name)
        self._longest = metrics.workqueue_longest_running.labels(name)
        self._parked = metrics.workqueue_parked.labels(name)
        self._waited = metrics.workqueue_queue_duration.labels(name)
        self._worked = metrics.workqueue_work_duration.labels(name)

    def added(self) -> None:
        """A key became ready."""
        self._adds.inc()

    def done(self, waited: float, worked: float) -> None:
        """A key was finished after `worked` seconds; before, it had waited `waited` seconds for a worker."""
        self._waited.observe(waited)
        self._worked.observe(worked)

    def retried(self) -> None:
        """A key will be handed out again because of a failure."""
        self._retries.inc()

    def follow(self, queue: Queue) -> None:
        """Look at the queue at every scrape: how many keys are ready and how many are parked, and the seconds that all
        running reconciles, and the longest of them, have taken so far.
        """
        self._depth.set_function(lambda: len(queue))
        self._unfinished.set_function(queue.unfinished_seconds)
        self._longest.set_function(queue.longest_running_seconds)
        self._parked.set_function(queue.parked)


class ReflectorMetrics:
    """The metrics of reflectors, labelled with the resource of each."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._events: dict[tuple[GVR, str], Counter] = {}

    def listed(self, gvr: GVR, objects: int, seconds: float) -> None:
        """A complete list of so many objects was taken in."""
        self._metrics.reflector_lists.labels(gvr.group_resource).inc()
        self._metrics.reflector_list_duration.labels(gvr.group_resource).observe(seconds)
        self._metrics.reflector_listed_objects.labels(gvr.group_resource).set(objects)

    def failed(self, gvr: GVR, verb: str) -> None:
        """A LIST failed, or a WATCH broke off; `verb` is list or watch."""
        self._metrics.reflector_errors.labels(gvr.group_resource, verb).inc()

    def relisted(self, gvr: GVR, reason: str) -> None:
        """A watch could not be resumed, so that a new list is read."""
        self._metrics.reflector_relists.labels(gvr.group_resource, reason).inc()

    def watched(self, gvr: GVR) -> None:
        """A watch was opened."""
        self._metrics.reflector_watches.labels(gvr.group_resource).inc()

    def received(self, gvr: GVR, event: str) -> None:
        """A line of a watch came."""
        counter = self._events.get((gvr, event))
        if counter is None:
            counter = self._events[gvr, event] = self._metrics.reflector_events.labels(
                gvr.group_resource, event.upper()
            )
        counter.inc()

    def forget(self, gvr: GVR) -> None:
        """The resource is followed no more: drop its series."""
        for key in [key for key in list(self._events) if key[0] == gvr]:
            self._events.pop(key, None)
        self._metrics.forget_resource(gvr)


class LockMetrics:
    """The metrics of locks. kind: mutex or semaphore."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.wait_duration = Histogram(
            "workflow_lock_wait_duration_seconds",
            "Seconds that a task or workflow waited for its locks, observed for each lock, by mutex or semaphore",
            ("kind",),
            registry=registry,
            buckets=_WORKFLOW_SECONDS,
        )
        self._held = Gauge("workflow_locks_held", "Places of locks that are held", ("kind",), registry=registry)
        self._waiting = Gauge("workflow_locks_waiting", "Tasks and workflows that wait for locks", registry=registry)
        self._longest = Gauge(
            "workflow_locks_longest_wait_seconds",
            "Seconds that the first of those has waited who wait for locks",
            registry=registry,
        )

    def follow(self, waiting: Callable[[], tuple[int, float]], held: Callable[[str], int]) -> None:
        """Call these at every scrape: how many wait for locks, and how long the first of them has; and how many places
        are held of locks of a kind.
        """
        self._waiting.set_function(lambda: waiting()[0])
        self._longest.set_function(lambda: waiting()[1])
        for kind in ("mutex", "semaphore"):
            self._held.labels(kind).set_function(functools.partial(held, kind))


class Metrics:
    """All metrics and the registry that holds them."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry = registry or CollectorRegistry()
        counter = functools.partial(Counter, registry=registry)
        gauge = functools.partial(Gauge, registry=registry)
        histogram = functools.partial(Histogram, registry=registry)
        self._is_leading = self._has_led = True  # until an elector says otherwise
        self._campaigns = False
        self._work = work = CollectorRegistry()
        registry.register(_OfLeader(work, lambda: self._has_led))

        by_queue = ("name",)
        self.workqueue_depth = gauge("workqueue_depth", "Keys that wait for a worker", by_queue)
        self.workqueue_adds = counter("workqueue_adds_total", "Keys queued", by_queue)
        self.workqueue_retries = counter("workqueue_retries_total", "Keys queued again after a failure", by_queue)
        self.workqueue_longest_running = gauge(
            "workqueue_longest_running_processor_seconds", "Seconds of the longest reconcile that runs now", by_queue
        )
        self.workqueue_parked = gauge("workqueue_parked_keys", "Keys that wait for answers to their calls", by_queue)
        self.workqueue_unfinished_work = gauge(
            "workqueue_unfinished_work_seconds", "Seconds of work begun and not finished", by_queue
        )
        self.workqueue_queue_duration = histogram(
            "workqueue_queue_duration_seconds",
            "Seconds a key waited for a worker",
            by_queue,
            buckets=_QUEUE_SECONDS,
        )
        self.workqueue_work_duration = histogram(
            "workqueue_work_duration_seconds", "Seconds a worker spent on a key", by_queue, buckets=_WORK_SECONDS
        )

        self.api = ApiMetrics(registry)
        self.on_request = self.api.on_request

        self.reflector_lists = counter("reflector_lists_total", "Complete LISTs", ("resource",))
        self.reflector_list_duration = histogram(
            "reflector_list_duration_seconds", "Seconds of a complete LIST", ("resource",), buckets=_QUEUE_SECONDS
        )
        self.reflector_listed_objects = gauge(
            "reflector_listed_objects", "Objects in the latest complete LIST", ("resource",)
        )
        self.reflector_relists = counter(
            "reflector_relists_total", "LISTs because a watch could not be resumed, by reason", ("resource", "reason")
        )
        self.reflector_errors = counter(
            "reflector_errors_total", "LISTs that failed and WATCHes that broke off", ("resource", "verb")
        )
        self.reflector_watches = counter("reflector_watches_total", "WATCHes opened", ("resource",))
        self.reflector_events = counter("reflector_events_total", "Watch events", ("resource", "type"))

        work_counter = functools.partial(Counter, registry=work)
        work_histogram = functools.partial(Histogram, registry=work)
        self.workflow_reconcile = work_counter("workflow_reconcile_total", "Reconciles of a workflow", ("outcome",))
        self.workflow_reconcile_duration = work_histogram(
            "workflow_reconcile_duration_seconds", "Seconds of a reconcile of a workflow", buckets=_WORK_SECONDS
        )
        self.workflow_workflows_finished = work_counter(
            "workflow_workflows_finished_total", "Workflows that ended, by final phase and reason", ("phase", "reason")
        )
        self.workflow_duration = work_histogram(
            "workflow_duration_seconds",
            "Seconds from startTime to completionTime of a workflow",
            ("phase",),
            buckets=_WORKFLOW_SECONDS,
        )
        self.workflow_tasks_finished = work_counter(
            "workflow_tasks_finished_total", "Tasks that became final, by phase", ("phase",)
        )
        self.workflow_task_retries = work_counter(
            "workflow_task_retries_total", "Attempts that failed and are tried again, by reason", ("reason",)
        )
        self.workflow_jobs_created = work_counter("workflow_jobs_created_total", "Jobs created", ("kind",))
        self.workflow_outputs = work_counter(
            "workflow_outputs_total", "Outputs that were read, and attempts that failed for one", ("result",)
        )
        self.workflow_objects = work_counter(
            "workflow_objects_total",
            "Objects applied, and those looked up to be deleted, by action: Apply or Delete",
            ("action", "kind"),
        )
        self.workflow_jobs_deleted = work_counter("workflow_jobs_deleted_total", "Jobs deleted")
        self.workflow_foreign_jobs = counter(
            "workflow_foreign_jobs_total", "Objects with the controller's label that are none of its jobs; ignored"
        )
        self.workflow_status_writes = work_counter("workflow_status_writes_total", "Status patches written")
        self.workflow_access_reviews = work_counter(
            "workflow_access_reviews_total", "Questions whether a person may create a kind, by answer", ("result",)
        )
        self.crons = CronMetrics(work)
        self.locks = LockMetrics(work)
        self.workflow_probe_tries = work_counter("workflow_probe_tries_total", "Probes tried", ("kind", "result"))

        self.leader_election_master_status = gauge(
            "leader_election_master_status", "1 while this process holds the Lease", ("name",)
        )
        self.events_emitted = counter("events_emitted_total", "Kubernetes Events posted")
        self.events_dropped = counter("events_dropped_total", "Kubernetes Events dropped by a bound or a failure")
        self._by_resource = (
            self.reflector_lists,
            self.reflector_list_duration,
            self.reflector_listed_objects,
            self.reflector_relists,
            self.reflector_errors,
            self.reflector_watches,
            self.reflector_events,
        )

    def with_process(self) -> Metrics:
        """Add the metrics of the process itself: CPU, memory, descriptors, garbage collection."""
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        return self

    def count_probe(self, kind: str, result: str) -> None:
        """A probe was tried."""
        self.workflow_probe_tries.labels(kind, result).inc()

    def forget_resource(self, gvr: GVR) -> None:
        """Drop every series of a resource, so that kinds that are used no more take no room."""
        resource = gvr.group_resource
        self.api.forget_resource(gvr)
        for metric in self._by_resource:
            metric.remove_by_labels({"resource": resource})

    def on_leading(self, name: str, leading: bool) -> None:
        """Note whether this process holds the Lease of that name: a callback for the elector."""
        if leading:
            self._has_led = True
        elif not self._campaigns:
            self._has_led = False
        self._is_leading, self._campaigns = leading, True
        self.leader_election_master_status.labels(name).set(1 if leading else 0)

    def queue(self, name: str) -> QueueMetrics:
        """The metrics of the workqueue of that name."""
        return QueueMetrics(self, name)

    def reflectors(self) -> ReflectorMetrics:
        """The metrics of all reflectors."""
        return ReflectorMetrics(self)

    def follow_renewals(self, name: str, seconds_since: Callable[[], float | None]) -> None:
        """Call this at every scrape: seconds since the Lease of that name was last renewed by this process, or None."""
        self.registry.register(_RenewalCollector(name, seconds_since))

    def follow_workflows(self, count: Callable[[], Census]) -> None:
        """Call this at every scrape, while this process leads: the numbers of workflows and tasks."""
        self.registry.register(_CensusCollector(count, lambda: self._is_leading, time.time))


class _OfLeader(Collector):
    """The metrics of another registry, from the moment that this process leads."""

    def __init__(self, registry: CollectorRegistry, has_led: Callable[[], bool]) -> None:
        self._registry = registry
        self._has_led = has_led

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect() if self._has_led() else ()

    def describe(self) -> Iterable[Metric]:
        return ()


class _RenewalCollector(Collector):
    """How old the last renewal of the Lease is; absent on a process that does not hold it."""

    def __init__(self, name: str, seconds_since: Callable[[], float | None]) -> None:
        self._name = name
        self._seconds_since = seconds_since

    def collect(self) -> Iterable[Metric]:
        family = _renewal_family()
        seconds = self._seconds_since()
        if seconds is None:
            return ()
        family.add_metric((self._name,), seconds)
        return (family,)

    def describe(self) -> Iterable[Metric]:
        return (_renewal_family(),)


def _renewal_family() -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "leader_election_renewal_age_seconds", "Seconds since this process last renewed the Lease", labels=("name",)
    )


class _CensusCollector(Collector):
    """Counts workflows and tasks at every scrape, so that no count has to be kept."""

    def __init__(self, count: Callable[[], Census], is_leading: Callable[[], bool], clock: Callable[[], float]) -> None:
        self._count = count
        self._is_leading = is_leading
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        if not self._is_leading():
            return ()
        census = self._count()
        workflows, tasks, waiting, blocked, oldest = families = _census_families()
        for phase, count in sorted(census.workflows.items()):
            workflows.add_metric((phase,), count)
        for phase, count in sorted(census.tasks.items()):
            tasks.add_metric((phase,), count)
        for reason, count in sorted(census.waiting.items()):
            waiting.add_metric((reason,), count)
        for reason, count in sorted(census.blocked.items()):
            blocked.add_metric((reason,), count)
        since = census.blocked_since
        oldest.add_metric((), max(0.0, self._clock() - since) if since is not None else 0.0)
        return families

    def describe(self) -> Iterable[Metric]:
        return _census_families()


def _census_families() -> tuple[GaugeMetricFamily, ...]:
    return (
        GaugeMetricFamily("workflow_workflows", "Workflows by phase", labels=("phase",)),
        GaugeMetricFamily("workflow_tasks", "Tasks of workflows that have not ended, by phase", labels=("phase",)),
        GaugeMetricFamily("workflow_tasks_waiting", "Tasks that wait, by the reason of their flow", labels=("reason",)),
        GaugeMetricFamily("workflow_workflows_blocked", "Workflows that wait for a person", labels=("reason",)),
        GaugeMetricFamily("workflow_blocked_oldest_seconds", "Seconds for which the oldest of them has waited"),
    )
