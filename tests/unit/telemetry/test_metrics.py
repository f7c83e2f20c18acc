"""Metrics under the names that dashboards expect."""

from __future__ import annotations

from prometheus_client import generate_latest

from pkg.apis.meta import GVR
from pkg.controllers.engine.listwatch import ReflectorMetrics as ReflectorProtocol
from pkg.controllers.engine.workqueue import QueueMetrics as QueueProtocol
from pkg.telemetry.census import Census
from pkg.telemetry.metrics import Metrics


def value(metrics: Metrics, sample: str, /, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(sample, labels)


class Busy:
    """A queue with one ready key, two parked ones, and two that have run for 7 s together."""

    def __len__(self) -> int:
        return 1

    def unfinished_seconds(self) -> float:
        return 7.0

    def longest_running_seconds(self) -> float:
        return 5.0

    def parked(self) -> int:
        return 2


def test_requests_are_counted_by_code_and_timed() -> None:
    metrics = Metrics()
    metrics.on_request("create", "jobs", 201, 0.002)
    metrics.on_request("create", "jobs", 201, 0.002)
    metrics.on_request("create", "jobs", 0, 10.0)
    metrics.on_request("watch", "jobs", 200, 0.1)
    assert value(metrics, "rest_client_requests_total", verb="create", resource="jobs", code="201") == 2
    assert value(metrics, "rest_client_requests_total", verb="create", resource="jobs", code="<error>") == 1
    assert value(metrics, "rest_client_request_duration_seconds_count", verb="create", resource="jobs") == 3
    assert value(metrics, "rest_client_request_duration_seconds_count", verb="watch", resource="jobs") is None


def test_a_queue_shows_depth_waits_and_work() -> None:
    metrics = Metrics()
    queue = metrics.queue("shard-3")
    known: QueueProtocol = queue
    known.added()
    known.done(0.5, 0.25)
    known.retried()
    queue.follow(Busy())
    assert value(metrics, "workqueue_adds_total", name="shard-3") == 1
    assert value(metrics, "workqueue_depth", name="shard-3") == 1
    assert value(metrics, "workqueue_queue_duration_seconds_sum", name="shard-3") == 0.5
    assert value(metrics, "workqueue_work_duration_seconds_sum", name="shard-3") == 0.25
    assert value(metrics, "workqueue_retries_total", name="shard-3") == 1
    assert value(metrics, "workqueue_unfinished_work_seconds", name="shard-3") == 7
    assert value(metrics, "workqueue_longest_running_processor_seconds", name="shard-3") == 5
    assert value(metrics, "workqueue_parked_keys", name="shard-3") == 2


def test_reflectors_show_lists_relists_watches_and_events() -> None:
    metrics = Metrics()
    jobs = GVR("batch", "v1", "jobs")
    known: ReflectorProtocol = metrics.reflectors()
    known.listed(jobs, 12, 0.1)
    known.relisted(jobs, "gone")
    known.failed(jobs, "watch")
    known.watched(jobs)
    known.received(jobs, "Added")
    known.received(jobs, "Added")
    assert value(metrics, "reflector_lists_total", resource="jobs.batch") == 1
    assert value(metrics, "reflector_listed_objects", resource="jobs.batch") == 12
    assert value(metrics, "reflector_relists_total", resource="jobs.batch", reason="gone") == 1
    assert value(metrics, "reflector_errors_total", resource="jobs.batch", verb="watch") == 1
    assert value(metrics, "reflector_watches_total", resource="jobs.batch") == 1
    assert value(metrics, "reflector_events_total", resource="jobs.batch", type="ADDED") == 2


def test_a_resource_that_is_followed_no_more_leaves_no_series() -> None:
    metrics = Metrics()
    reflectors = metrics.reflectors()
    jobs, pods = GVR("batch", "v1", "jobs"), GVR("", "v1", "pods")
    for gvr in (jobs, pods):
        reflectors.listed(gvr, 12, 0.1)
        reflectors.relisted(gvr, "gone")
        reflectors.failed(gvr, "list")
        reflectors.watched(gvr)
        reflectors.received(gvr, "Added")
        metrics.on_request("create", gvr.group_resource, 201, 0.1)
    reflectors.forget(jobs)
    assert b'resource="jobs.batch"' not in generate_latest(metrics.registry)
    assert value(metrics, "reflector_lists_total", resource="pods") == 1
    assert value(metrics, "rest_client_requests_total", verb="create", resource="pods", code="201") == 1
    reflectors.received(jobs, "Added")
    metrics.on_request("create", "jobs.batch", 201, 0.1)
    assert value(metrics, "reflector_events_total", resource="jobs.batch", type="ADDED") == 1
    assert value(metrics, "rest_client_requests_total", verb="create", resource="jobs.batch", code="201") == 1


def test_leadership_and_workflows() -> None:
    metrics = Metrics()
    metrics.on_leading("wc", True)
    metrics.follow_workflows(lambda: Census({"Running": 3, "Failed": 0}, {"Waiting": 2}, {"Quota": 2}, {"Quota": 1}, 5))
    metrics.follow_renewals("wc", lambda: 1.5)
    assert value(metrics, "leader_election_master_status", name="wc") == 1
    assert value(metrics, "leader_election_renewal_age_seconds", name="wc") == 1.5
    assert value(metrics, "workflow_workflows", phase="Running") == 3
    assert value(metrics, "workflow_tasks", phase="Waiting") == 2
    assert value(metrics, "workflow_tasks_waiting", reason="Quota") == 2
    assert value(metrics, "workflow_workflows_blocked", reason="Quota") == 1
    assert (value(metrics, "workflow_blocked_oldest_seconds") or 0) > 1e9
    metrics.workflow_status_writes.inc()
    metrics.on_leading("wc", False)
    assert value(metrics, "leader_election_master_status", name="wc") == 0
    assert value(metrics, "workflow_workflows", phase="Running") is None, "the next leader counts them"
    assert value(metrics, "workflow_status_writes_total") == 1, "what it did stays counted"


def test_a_spare_exports_nothing_of_what_only_a_leader_does() -> None:
    metrics = Metrics()
    metrics.on_leading("wc", False)
    metrics.follow_workflows(lambda: Census({"Running": 3}))
    metrics.follow_renewals("wc", lambda: None)
    text = generate_latest(metrics.registry).decode()
    named = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE workflow_")}
    assert named == {"workflow_foreign_jobs_total"}, "it reads jobs as the leader does"
    assert "renewal_age" not in text
    metrics.on_leading("wc", True)
    assert "workflow_status_writes_total" in generate_latest(metrics.registry).decode()


def test_no_series_says_when_another_was_created() -> None:
    metrics = Metrics()
    metrics.on_request("create", "jobs", 201, 0.002)
    assert "requests_created" not in generate_latest(metrics.registry).decode()


def test_two_sets_do_not_share_counts() -> None:
    one, other = Metrics(), Metrics()
    one.workflow_status_writes.inc()
    assert value(one, "workflow_status_writes_total") == 1
    assert value(other, "workflow_status_writes_total") == 0


def test_the_process_itself_can_be_measured() -> None:
    assert b"process_cpu_seconds_total" in generate_latest(Metrics().with_process().registry)
