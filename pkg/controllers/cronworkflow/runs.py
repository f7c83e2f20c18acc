"""The runs of a CronWorkflow in the cache of Workflows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.cron_runs import cron_of, time_of
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.types import CronWorkflow, Shutdown, Workflow
from pkg.controllers.cronworkflow.planner import status
from pkg.controllers.cronworkflow.planner.snapshot import Run

#: The index of Workflows by the uid of the CronWorkflow that controls them.
CRON_INDEX: Final = "cron"


def cron_uids(workflow: Workflow) -> set[str]:
    """What CRON_INDEX finds a Workflow under."""
    owner = cron_of(workflow.metadata)
    return {owner.uid} if owner is not None else set()


def cron_key(workflow: Workflow) -> str | None:
    """`namespace/name` of the CronWorkflow that controls a Workflow; None if none does."""
    owner = cron_of(workflow.metadata)
    return f"{workflow.metadata.namespace}/{owner.name}" if owner is not None else None


def run_of(workflow: Workflow, cron: str, has_jobs: Callable[[Workflow], bool]) -> Run:
    """A Workflow as a plan sees it. cron: the name of the CronWorkflow; has_jobs: jobs of it are being deleted."""
    meta, recorded = workflow.metadata, workflow.status
    restart = workflow.spec.restart
    # A restart that has not acted yet makes it run again, unless it is refused because of spec.shutdown.
    is_asked = restart is not None and restart.at != records.record_of(recorded).restarted_at
    is_restarted = is_asked and workflow.spec.shutdown is None
    is_ended = recorded.phase is not None and recorded.phase.is_final and not is_restarted
    created = meta.creation_timestamp
    return Run(
        name=meta.name,
        uid=meta.uid,
        time=time_of(cron, meta.name),
        created_at=created.timestamp() if created is not None else 0.0,
        is_ended=is_ended,
        has_succeeded=is_ended and recorded.phase is WorkflowPhase.SUCCEEDED,
        ended_at=status.read(recorded.completion_time) if is_ended else 0.0,
        is_terminated=workflow.spec.shutdown is Shutdown.TERMINATE,
        is_deleting=meta.is_deleting,
        has_jobs=has_jobs(workflow),
        version=meta.resource_version,
    )


def is_covered(workflow: Workflow, cron: CronWorkflow) -> bool:
    """Whether the status of the CronWorkflow shows that the scheduled time of a run has its run."""
    time = time_of(cron.metadata.name, workflow.metadata.name)
    is_ours = cron.metadata.uid in cron_uids(workflow)
    return time is None or not is_ours or time <= status.read(cron.status.last_schedule_time)


def is_relevant(old: Workflow | None, new: Workflow | None) -> bool:
    """Whether a plan reads what changed of a run."""
    return old is None or new is None or _read(old) != _read(new)


def _read(workflow: Workflow) -> tuple[object, ...]:
    recorded, spec = workflow.status, workflow.spec
    return (
        workflow.metadata.uid,
        workflow.metadata.is_deleting,
        cron_uids(workflow),
        recorded.phase is not None and recorded.phase.is_final and recorded.phase,
        recorded.completion_time,
        spec.shutdown,
        spec.restart,
        records.record_of(recorded).restarted_at,  # a restart that finds nothing to run again changes only this
    )
