"""Which Workflows may be deleted after their end, and what requeues a CronWorkflow."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.cron_runs import run_name
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.types import CRONWORKFLOWS, CronWorkflow, Restart, Shutdown, Workflow
from pkg.apis.meta import ObjectMeta, PartialObject
from pkg.controllers.cronworkflow.controller import CronController, Surroundings
from pkg.controllers.cronworkflow.runs import CRON_INDEX, cron_uids, run_of
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.store import Store
from pkg.kube.client import Page
from pkg.telemetry.metrics import Metrics
from tests.unit.controllers.cronworkflow.setups import UID, at, cron

NAME = run_name("nightly", at("01:00:00"))
COVERED = {"lastScheduleTime": "2027-03-01T01:00:00Z"}


def run_in_cluster(*, owned: bool = True) -> Workflow:
    """The run of 01:00, or a Workflow that a person made."""
    owner = {
        "apiVersion": "flow.workflow.sh/v1alpha1",
        "kind": "CronWorkflow",
        "name": "nightly",
        "uid": UID,
        "controller": True,
    }
    meta = {"name": NAME, "namespace": "team", "uid": f"uid-{NAME}", "ownerReferences": [owner] if owned else []}
    manifest = {"metadata": {**meta, "resourceVersion": "3"}, "spec": {"flows": [{"name": "a"}]}}
    return msgspec.json.decode(msgspec.json.encode(manifest), type=Workflow)


class Bench:
    """A CronController that leads since a moment at which the newest CronWorkflow had resourceVersion 7."""

    def __init__(self, *workflows: Workflow) -> None:
        self.workflows: Store[Workflow] = Store({CRON_INDEX: cron_uids})
        self.workflows.replace(list(workflows), 5)
        metrics = Metrics()
        self.controller = CronController(
            Surroundings(
                client=cast(Any, self),
                namespace=None,
                workflows=self.workflows,
                recorder=cast(Any, None),
                numbers=metrics.crons,
                reflectors=metrics.reflectors(),
                queues=lambda number: metrics.queue(str(number)),
                has_jobs=lambda _workflow: False,
                announce=lambda _delta: None,
                owns=lambda _key: True,
            )
        )
        self.crons: Store[CronWorkflow] = self.controller.informers.prepare(CRONWORKFLOWS)
        self.controller.begin_term(5)

    def list_page(self, *_what: Any, **_how: Any) -> Page[PartialObject]:
        """The CronWorkflow in the cluster."""
        return Page([PartialObject(ObjectMeta(name="nightly", namespace="team", resource_version="7"))], "7", "")


def may_delete(of: Workflow, *crons: CronWorkflow, version: int) -> bool:
    bench = Bench(of)
    if version:
        bench.crons.replace(list(crons), version)
    return bench.controller.may_delete(f"team/{NAME}")


@pytest.mark.parametrize(
    ("crons", "version", "expected"),
    [
        pytest.param([], 0, False, id="not before CronWorkflows are listed: its own may not have recorded it"),
        pytest.param([], 6, False, id="not while the cache is older than the term"),
        pytest.param([cron()], 7, False, id="not before its CronWorkflow has recorded its time"),
        pytest.param([cron(status=COVERED)], 7, True, id="once its CronWorkflow has recorded its time"),
        pytest.param([], 7, True, id="once it is certain that its CronWorkflow does not exist"),
    ],
)
def test_a_run_is_deleted_after_its_end(crons: list[CronWorkflow], version: int, expected: bool) -> None:
    assert may_delete(run_in_cluster(), *crons, version=version) is expected


def test_a_run_is_kept_while_its_cron_workflow_cannot_be_decoded() -> None:
    """It exists, and may be corrected: without the run it would make the same one again."""
    bench = Bench(run_in_cluster())
    bench.crons.replace([], 7, undecodable=["team/nightly"])
    assert not bench.controller.may_delete(f"team/{NAME}")


def test_a_workflow_of_no_cron_workflow_waits_for_no_cache() -> None:
    assert may_delete(run_in_cluster(owned=False), version=0)


def queued(bench: Bench, old: Workflow, new: Workflow) -> bool:
    """Whether a change of a run requeues its CronWorkflow."""
    bench.controller.workflows_changed([Delta(new.metadata.key, old, new)])
    return any(len(queue) for queue in bench.controller._queue.queues)


def test_a_restart_that_finds_nothing_to_run_again_requeues_who_waits_for_the_end_of_the_run() -> None:
    """From its request until it is recorded the run counts as one that has not ended."""
    run = run_in_cluster()
    ended = msgspec.structs.replace(run.status, phase=WorkflowPhase.SUCCEEDED, completion_time="2027-03-01T01:10:00Z")
    asked = msgspec.structs.replace(
        run, spec=msgspec.structs.replace(run.spec, restart=Restart(at="1")), status=records.moved(ended)
    )
    done = msgspec.structs.replace(asked, status=records.moved(ended, restarted_at="1"))
    assert [run_of(one, "nightly", lambda _run: False).is_ended for one in (asked, done)] == [False, True]
    assert queued(Bench(asked), asked, done)
    assert not queued(Bench(done), done, done)


def test_a_run_that_was_terminated_has_ended_although_somebody_asks_to_restart_it() -> None:
    """The restart is refused as long as spec.shutdown is set, so nobody is to wait for it."""
    run = run_in_cluster()
    status = msgspec.structs.replace(run.status, phase=WorkflowPhase.FAILED, completion_time="2027-03-01T01:10:00Z")
    spec = msgspec.structs.replace(run.spec, restart=Restart(at="1"), shutdown=Shutdown.TERMINATE)
    refused = msgspec.structs.replace(run, spec=spec, status=status)
    assert run_of(refused, "nightly", lambda _run: False).is_ended
    spec = msgspec.structs.replace(spec, shutdown=None)
    assert not run_of(msgspec.structs.replace(refused, spec=spec), "nightly", lambda _run: False).is_ended
