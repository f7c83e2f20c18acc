"""The Grafana dashboard, from a table of panels. Pure: values in, values out.

A panel has a title, a unit of Grafana's, and its queries with their legends. All metrics are in docs/metrics.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

Query = tuple[str, str]

JOB: Final = 'job="workflow-controller"'
HEIGHT: Final = 7
COLUMNS: Final = 3
WIDTH: Final = 24 // COLUMNS


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart; `note` says how to read it. Queries are pairs of an expression and its legend."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    note: str = ""


def _quantiles(metric: str, *labels: str, matching: str = f"{{{JOB}}}") -> tuple[Query, ...]:
    by = ", ".join(("le", *labels))
    legend = "".join(f"{{{{{label}}}}} " for label in labels)
    return tuple(
        (
            f"histogram_quantile({q}, sum by ({by}) (rate({metric}_bucket{matching}[5m])))",
            f"{legend}p{int(q * 100)}",
        )
        for q in (0.5, 0.99)
    )


def _rate(metric: str, *labels: str) -> Query:
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} (rate({metric}{{{JOB}}}[5m]))", " ".join(f"{{{{{label}}}}}" for label in labels) or metric


ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    (
        "Workflows",
        (
            Panel("Workflows by phase", "short", (("sum by (phase) (workflow_workflows)", "{{phase}}"),)),
            Panel(
                "Ended within an hour",
                "short",
                (("sum by (phase, reason) (increase(workflow_workflows_finished_total[1h]))", "{{phase}} {{reason}}"),),
            ),
            Panel(
                "Duration",
                "s",
                _quantiles("workflow_duration_seconds", "phase"),
                "From startTime to completionTime.",
            ),
            Panel(
                "Wait for a person",
                "short",
                (("sum by (reason) (workflow_workflows_blocked)", "{{reason}}"),),
                "Their condition Blocked is True. `kubectl get wkf -A -o wide` says what to do.",
            ),
            Panel("Longest wait for a person", "s", (("max(workflow_blocked_oldest_seconds)", "oldest"),)),
            Panel("Tasks by phase", "short", (("sum by (phase) (workflow_tasks)", "{{phase}}"),)),
            Panel("Tasks that wait, by reason", "short", (("sum by (reason) (workflow_tasks_waiting)", "{{reason}}"),)),
            Panel("Attempts that failed and are tried again", "ops", (_rate("workflow_task_retries_total", "reason"),)),
            Panel(
                "Runs of CronWorkflows",
                "ops",
                (_rate("workflow_cron_runs_total", "result"), _rate("workflow_cron_missed_total")),
                "Made, failed to be made, and scheduled times that get none.",
            ),
            Panel("Lateness of runs", "s", _quantiles("workflow_cron_lateness_seconds")),
            Panel(
                "Jobs",
                "ops",
                (_rate("workflow_jobs_created_total", "kind"), _rate("workflow_jobs_deleted_total")),
                "Created by kind, and deleted.",
            ),
        ),
    ),
    (
        "Controller",
        (
            Panel(
                "Leaders",
                "short",
                ((f"sum(leader_election_master_status{{{JOB}}})", "leaders"),),
                "One is right. None: no workflow goes on.",
            ),
            Panel(
                "Age of the Lease",
                "s",
                ((f"max(leader_election_renewal_age_seconds{{{JOB}}})", "since the last renewal"),),
            ),
            Panel("Reconciles", "ops", (_rate("workflow_reconcile_total", "outcome"),)),
            Panel("Duration of a reconcile", "s", _quantiles("workflow_reconcile_duration_seconds")),
            Panel("Keys that wait for a worker", "short", ((f"sum(workqueue_depth{{{JOB}}})", "keys"),)),
            Panel("Wait for a worker", "s", _quantiles("workqueue_queue_duration_seconds")),
            Panel(
                "Longest reconcile that runs now",
                "s",
                ((f"max(workqueue_longest_running_processor_seconds{{{JOB}}})", "seconds"),),
            ),
            Panel("Keys that wait for answers", "short", ((f"sum(workqueue_parked_keys{{{JOB}}})", "keys"),)),
            Panel("Probes", "ops", (_rate("workflow_probe_tries_total", "kind", "result"),)),
            Panel(
                "Locks",
                "short",
                (
                    (f"sum by (kind) (workflow_locks_held{{{JOB}}})", "held: {{kind}}"),
                    (f"sum(workflow_locks_waiting{{{JOB}}})", "waiting"),
                ),
            ),
            Panel("Wait for a lock", "s", _quantiles("workflow_lock_wait_duration_seconds")),
        ),
    ),
    (
        "API server",
        (
            Panel("Calls by status", "reqps", (_rate("rest_client_requests_total", "code"),)),
            Panel("Duration of a call", "s", _quantiles("rest_client_request_duration_seconds", "verb")),
            Panel("Lists and watches that fail", "ops", (_rate("reflector_errors_total", "resource", "verb"),)),
            Panel("Watch events", "ops", (_rate("reflector_events_total", "resource", "type"),)),
            Panel("Statuses written", "ops", (_rate("workflow_status_writes_total"),)),
            Panel("Events", "ops", (_rate("events_emitted_total"), _rate("events_dropped_total"))),
        ),
    ),
    (
        "Webhook",
        (
            Panel(
                "Requests by verdict",
                "reqps",
                (("sum by (path, code) (rate(webhook_requests_total[5m]))", "{{path}} {{code}}"),),
                "200: allowed; 422: faulty; 403: not allowed to this user; 500 and 503 are faults of the webhook.",
            ),
            Panel("Duration of an answer", "s", _quantiles("webhook_request_duration_seconds", "path", matching="")),
            Panel("Requests in flight", "short", (("sum(webhook_requests_in_flight)", "requests"),)),
            Panel("Open connections", "short", (("sum(webhook_connections)", "connections"),)),
            Panel(
                "Connections cut off",
                "ops",
                (("sum by (reason) (rate(webhook_connections_cut_total[5m]))", "{{reason}}"),),
            ),
            Panel(
                "Validity of the certificate",
                "s",
                (("min(webhook_certificate_expiry_timestamp_seconds) - time()", "until it expires"),),
            ),
        ),
    ),
    (
        "Processes",
        (
            Panel(
                "Memory",
                "bytes",
                (('process_resident_memory_bytes{job=~"workflow-controller|workflow-webhook"}', "{{pod}}"),),
            ),
            Panel(
                "CPU cores",
                "short",
                (('rate(process_cpu_seconds_total{job=~"workflow-controller|workflow-webhook"}[5m])', "{{pod}}"),),
            ),
            Panel(
                "Open files", "short", (('process_open_fds{job=~"workflow-controller|workflow-webhook"}', "{{pod}}"),)
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """The dashboard in Grafana's own format."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": _at(0, y, 24, 1)})
        y += 1
        for number, panel in enumerate(row):
            at = _at(number % COLUMNS * WIDTH, y + number // COLUMNS * HEIGHT, WIDTH, HEIGHT)
            panels.append({"id": len(panels) + 1, "gridPos": at, **_chart(panel)})
        y += -(-len(row) // COLUMNS) * HEIGHT
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": "work-flow",
        "title": "Work-Flow",
        "tags": ["kubernetes", "workflow"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }


def text() -> str:
    """The file for Grafana's import."""
    return json.dumps(dashboard(), indent=1) + "\n"


def _at(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _chart(panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "type": "timeseries",
        "title": panel.title,
        **({"description": panel.note} if panel.note else {}),
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": source, "expr": expression, "legendFormat": legend}
            for number, (expression, legend) in enumerate(panel.queries)
        ],
    }
