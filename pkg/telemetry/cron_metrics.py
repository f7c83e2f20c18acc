"""The metrics of CronWorkflows."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

_LATE_SECONDS: Final = (0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200)


class CronMetrics:
    """What the CronWorkflow controller counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.workflow_cron_runs = Counter(
            "workflow_cron_runs_total",
            "Calls to make the run of a CronWorkflow, by result: created or failed",
            ("result",),
            registry=registry,
        )
        self.workflow_cron_missed = Counter(
            "workflow_cron_missed_total", "Scheduled times of CronWorkflows that get no run", registry=registry
        )
        self.workflow_cron_lateness = Histogram(
            "workflow_cron_lateness_seconds",
            "Seconds from the scheduled time of a run to its creation",
            buckets=_LATE_SECONDS,
            registry=registry,
        )
        self._created = self.workflow_cron_runs.labels("created")
        self._failed = self.workflow_cron_runs.labels("failed")

    def created(self, seconds_late: float) -> None:
        """A run was made, so long after its scheduled time."""
        self._created.inc()
        self.workflow_cron_lateness.observe(seconds_late)

    def failed(self) -> None:
        """A run could not be made, and is tried again."""
        self._failed.inc()

    def missed(self, number: int) -> None:
        """So many scheduled times get no run."""
        self.workflow_cron_missed.inc(number)
