"""The writes of one reconcile after its creations: the status, then deletions, then Events."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import structlog

from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import API_VERSION, Workflow
from pkg.controllers.engine.result import Again, Done, Later, Result
from pkg.controllers.workflow import restored
from pkg.controllers.workflow.cleanup import MAX_DELETIONS
from pkg.controllers.workflow.executor import Executor
from pkg.controllers.workflow.memory import Memory
from pkg.controllers.workflow.observer import Caches
from pkg.controllers.workflow.planner.actions import Plan
from pkg.controllers.workflow.planner.progress import JobEnding, Progress, TaskKey
from pkg.controllers.workflow.planner.status.failures import ready_events
from pkg.controllers.workflow.report import Report
from pkg.controllers.workflow.sharing import with_recorded_flows
from pkg.kube.errors import Conflict, KubeError, NotFound, Stopped
from pkg.kube.event_recorder import EventRecorder, ObjectReference
from pkg.telemetry.metrics import Metrics

TOO_DEEP = (
    "the workflow cannot be reconciled: a value in its spec, in its templates or in the status of its jobs is nested "
    "too deeply; it is tried again when one of them changes"
)
_log = structlog.get_logger("workflow.reconciler")


class Writer:
    """Writes what a plan says through the executor, and updates cache and memory."""

    def __init__(
        self,
        caches: Caches,
        executor: Executor,
        recorder: EventRecorder,
        metrics: Metrics,
        wall_clock: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._workflows = caches.workflows
        self._announce = caches.status_written
        self._executor = executor
        self._recorder = recorder
        self._report = Report(metrics)
        self._clock = wall_clock
        self._monotonic = clock

    def write(self, workflow: Workflow, memory: Memory, final: Plan) -> str:
        """Writes the status, then deletes; returns why the reconcile is to be repeated, empty if all succeeded."""
        key, written = workflow.metadata.key, workflow
        try:
            if final.patch is not None:
                began = self._monotonic()
                written = self._executor.patch_status(key, final.patch)
                self._absorb(written)
                memory.seen = written.metadata.resource_version
                memory.write_seconds = self._monotonic() - began
                now = self._clock()
                memory.progress = self._shared(key, final.progress.acknowledged(now))
                memory.write_error = ""
                recorded = memory.as_recorded(workflow)
                memory.begun = memory.shown = None
                self._report.written(recorded, written, memory.spec.compiled, final.progress, now)
        except Conflict:
            return "status was computed from an older copy"
        except NotFound:
            return "the workflow is gone"
        except Stopped:
            raise
        except KubeError as error:
            is_new, memory.write_error = memory.write_error != str(error), str(error)
            (_log.warning if is_new else _log.debug)("status not written, will be retried", error=str(error))
            return "status could not be written"
        if final.deletions and self._executor.delete(key, final.deletions[:MAX_DELETIONS]):
            return "jobs could not be deleted"
        if final.workflow_deletion is not None:
            try:
                version = written.metadata.resource_version
                if not self._executor.delete_workflow(key, final.workflow_deletion, version):
                    return "its CronWorkflow may not have recorded it yet"
            except Stopped:
                raise
            except Conflict:
                return "the end of its ttl was computed from an older copy"
            except KubeError as error:
                _log.warning("workflow not deleted, will be retried", error=str(error))
                return "the workflow could not be deleted"
        return ""

    def _absorb(self, written: Workflow) -> None:
        """Takes in our own write. Its watch event then changes nothing, so the event handlers are called here."""
        delta = self._workflows.absorb(written)
        if delta is not None:
            self._announce(delta)

    def _shared(self, key: str, progress: Progress) -> Progress:
        cached = self._workflows.get(key)
        if cached is None:
            return progress
        return msgspec.structs.replace(progress, rendered=with_recorded_flows(progress.rendered, cached.status.flows))

    def send_events(self, workflow: Workflow, memory: Memory, endings: Mapping[TaskKey, JobEnding]) -> None:
        """Sends the Events that wait for a reconcile whose writes succeeded, and for the pods of failed jobs.

        endings: how the pods of failed jobs ended, as far as it is known. The next reconcile sends what waits for them.
        """
        about = reference(workflow)
        ready, memory.unsent_events = ready_events(memory.unsent_events, endings)
        for event in ready:
            self._recorder.emit(about, "Warning" if event.is_warning else "Normal", event.reason, event.message)

    def hold_restored(self, workflow: Workflow) -> Result:
        """Waits for the status of a restored workflow, and says in its status and by an Event that it has none."""
        now = self._clock()
        if (left := restored.seconds_left(workflow, now)) > 0:
            return Later(left, "its status may still be restored")
        patch = restored.notice(workflow, now)
        if patch is None:
            return Done()
        try:
            self._absorb(self._executor.patch_status(workflow.metadata.key, patch))
        except (Conflict, NotFound):
            return Done()  # its change requeues it
        except Stopped:
            raise
        except KubeError as error:
            return Again(f"status could not be written: {error}")
        _log.warning("workflow was restored without its status, nothing is made for it")
        self._recorder.emit(reference(workflow), "Warning", Reasons.RESTORED, restored.message_of(workflow))
        return Done()

    def report_too_deep(self, workflow: Workflow | None) -> None:
        """Says that a workflow cannot be reconciled, because of values that are nested too deeply."""
        _log.error("workflow not reconciled, values in it or in its jobs are nested too deeply")
        if workflow is not None:
            self._recorder.emit(reference(workflow), "Warning", "NestedTooDeeply", TOO_DEEP)


def reference(workflow: Workflow) -> ObjectReference:
    """What an Event about a Workflow names."""
    meta = workflow.metadata
    return ObjectReference(API_VERSION, "Workflow", meta.name, meta.namespace, meta.uid, meta.resource_version)
