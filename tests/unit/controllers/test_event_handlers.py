"""Which keys each change adds to which queue."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.apis.flow.v1alpha1.types import API_VERSION, WORKFLOWS, WORKTEMPLATES, Completion, UsedBy, Workflow
from pkg.apis.meta import GVR, Job, WholeJob
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.engine.reflector_options import Owners
from pkg.controllers.engine.shards import ShardedQueue
from pkg.controllers.engine.store import Store
from pkg.controllers.event_handlers import Handlers, Parts
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.rule_book import RuleBook
from pkg.controllers.worktemplate.reconciler import TEMPLATE_INDEX, templates_of
from tests.builders import JOBS, UID, WIDGETS, WORKFLOW, template, wf


class Kinds:
    def get(self, gvr: GVR) -> None:
        """Asked for in the background."""


class Crons:
    """Of which Workflows the jobs changed, or what is known of them."""

    def __init__(self) -> None:
        self.changed: list[str] = []

    def workflows_changed(self, _deltas: object) -> None:
        """Nothing here depends on it."""

    def jobs_changed(self, keys: Iterable[str]) -> None:
        self.changed += keys


class Setup:
    """Handlers on real stores, with two workflows that name the template `step`: one runs, one is over."""

    def __init__(self) -> None:
        self.now = 0.0
        self.decoded: list[tuple[GVR, type[Job]]] = []
        self.queue = ShardedQueue(1, clock=lambda: self.now)
        self.usage = ShardedQueue(1, clock=lambda: self.now)
        self.handlers = Handlers(self.queue, self.usage)
        self.workflows: Store[Workflow] = Store({TEMPLATE_INDEX: templates_of})
        self.workflows.replace([workflow("runs", WorkflowPhase.RUNNING), workflow("over", WorkflowPhase.FAILED)], 1)
        self.ledger = Ledger()
        self.crons = Crons()
        self.handlers.connect(
            Parts(
                workflows=self.workflows,
                templates=Store(),
                jobs=cast(Any, self),
                kinds=cast(Any, Kinds()),
                ledger=self.ledger,
                rule_book=RuleBook(),
                prober=cast(Any, None),
                reconciler=cast(Any, self),
                crons=cast(Any, self.crons),
            )
        )

    def users_of(self, gvr: GVR) -> tuple[str, ...]:
        """The workflows that use a kind, as the reconciler knows them."""
        return ("team/w",)

    def decode_as(self, gvr: GVR, kind: type[Job]) -> None:
        """The informers keep more of the jobs of a kind from now on."""
        self.decoded.append((gvr, kind))

    def queued(self, queue: ShardedQueue) -> list[str]:
        self.now += 60
        return sorted(iter(lambda: queue.queues[0].get(0) or "", ""))


def workflow(name: str, phase: WorkflowPhase) -> Workflow:
    made = wf(a={"template": "step"})
    meta = msgspec.structs.replace(made.metadata, name=name, uid=f"uid-{name}", resource_version="1")
    return msgspec.structs.replace(made, metadata=meta, status=msgspec.structs.replace(made.status, phase=phase))


@pytest.fixture
def setup() -> Setup:
    return Setup()


NAMESPACE = wf(a="").metadata.namespace
STEP = template("step")
STEP = msgspec.structs.replace(STEP, metadata=msgspec.structs.replace(STEP.metadata, namespace=NAMESPACE))
STEP_KEY = STEP.metadata.key


def test_a_template_whose_spec_changes_wakes_the_workflows_that_still_need_it(setup: Setup) -> None:
    edited = msgspec.structs.replace(STEP, metadata=msgspec.structs.replace(STEP.metadata, generation=7))
    setup.handlers.templates_changed(WORKTEMPLATES, [Delta(STEP_KEY, STEP, edited)])
    assert setup.queued(setup.queue) == [f"{NAMESPACE}/runs"]
    assert setup.queued(setup.usage) == [STEP_KEY]


def test_a_template_whose_used_by_is_written_wakes_no_workflow(setup: Setup) -> None:
    counted = msgspec.structs.replace(STEP, status=msgspec.structs.replace(STEP.status, used_by=UsedBy(2, ("over",))))
    setup.handlers.templates_changed(WORKTEMPLATES, [Delta(STEP_KEY, STEP, counted)])
    assert setup.queued(setup.queue) == []
    assert setup.queued(setup.usage) == [STEP_KEY], "whoever else wrote it is corrected"


def test_a_workflow_that_changes_in_nothing_of_interest_is_not_woken(setup: Setup) -> None:
    old = workflow("runs", WorkflowPhase.RUNNING)
    new = msgspec.structs.replace(
        old, metadata=msgspec.structs.replace(old.metadata, resource_version="2", labels={"team": "a"})
    )
    setup.handlers.workflows_changed(WORKFLOWS, [Delta(old.metadata.key, old, new)])
    assert (setup.queued(setup.queue), setup.queued(setup.usage)) == ([], [])


def test_a_new_workflow_is_woken_and_its_templates_are_counted(setup: Setup) -> None:
    new = workflow("new", WorkflowPhase.PENDING)
    setup.handlers.workflows_changed(WORKFLOWS, [Delta(new.metadata.key, None, new)])
    assert setup.queued(setup.queue) == [new.metadata.key]
    assert setup.queued(setup.usage) == [STEP_KEY]


@pytest.mark.parametrize("generation", [1, 2])
def test_the_templates_of_a_workflow_under_deletion_do_not_count_it_any_more(setup: Setup, generation: int) -> None:
    """It may be under deletion for long, as until its jobs are gone. usedBy does not count it then."""
    old = workflow("runs", WorkflowPhase.RUNNING)
    meta = msgspec.structs.replace(
        old.metadata, generation=generation, deletion_timestamp=datetime(2026, 1, 1, tzinfo=UTC), finalizers=("hold",)
    )
    going = msgspec.structs.replace(old, metadata=meta)
    setup.handlers.workflows_changed(WORKFLOWS, [Delta(old.metadata.key, old, going)])
    assert setup.queued(setup.usage) == [STEP_KEY]
    setup.handlers.workflows_changed(WORKFLOWS, [Delta(old.metadata.key, going, None)])
    assert setup.queued(setup.usage) == [], "the number stays the same"


@pytest.mark.parametrize("change", ["deleted", "another completion", "another kind"])
def test_a_template_that_no_longer_says_how_its_jobs_are_read_has_them_read_again(setup: Setup, change: str) -> None:
    this = WorkflowId.of(workflow("runs", WorkflowPhase.RUNNING))
    job = {"metadata": {"name": "runs-a", "namespace": NAMESPACE, "uid": "u"} | owned_by("runs", "uid-runs")}
    setup.ledger.apply(JOBS, [Delta("x", None, msgspec.convert(job, Job))])
    setup.ledger.take_changes(this)
    spec = STEP.spec
    if change == "another completion":
        spec = msgspec.structs.replace(spec, completion=Completion.READY)
    elif change == "another kind":
        spec = msgspec.structs.replace(spec, gvr=template("x", WIDGETS).spec.gvr)
    meta = msgspec.structs.replace(STEP.metadata, generation=7)
    new = None if change == "deleted" else msgspec.structs.replace(STEP, metadata=meta, spec=spec)
    setup.handlers.templates_changed(WORKTEMPLATES, [Delta(STEP_KEY, STEP, new)])
    assert setup.ledger.take_changes(this).dirty is None


@pytest.mark.parametrize(("text", "is_whole"), [("", False), ("{}", False), ('{"statusRules":{},"whole":true}', True)])
def test_jobs_whose_rules_read_their_spec_are_cached_with_it(setup: Setup, text: str, is_whole: bool) -> None:
    """Their template may be gone since before this process started."""
    meta = {"name": "w-a", "namespace": "team", "uid": "u", "annotations": {labels.RULES: text}}
    job = msgspec.convert({"metadata": meta | owned_by("w", UID)}, Job)
    setup.handlers.jobs_changed(JOBS, [Delta("team/w-a", None, job)])
    assert setup.decoded == ([(JOBS, WholeJob)] if is_whole else [])


def owned_by(name: str, uid: str) -> dict[str, Any]:
    owner = {"apiVersion": API_VERSION, "kind": "Workflow", "name": name, "uid": uid, "controller": True}
    return {"labels": {labels.FLOW: "a", labels.ATTEMPT: "0"}, "ownerReferences": [owner]}


def test_a_kind_that_changes_has_its_users_read_all_their_jobs(setup: Setup) -> None:
    owner = {"apiVersion": API_VERSION, "kind": "Workflow", "name": "w", "uid": UID, "controller": True}
    tags = {labels.FLOW: "a", labels.ATTEMPT: "0"}
    meta = {"name": "w-a", "namespace": "team", "uid": "u", "labels": tags, "ownerReferences": [owner]}
    setup.ledger.apply(JOBS, [Delta("team/w-a", None, msgspec.convert({"metadata": meta}, Job))])
    setup.ledger.take_changes(WORKFLOW)
    assert setup.ledger.take_changes(WORKFLOW).dirty == frozenset()
    setup.handlers.kind_changed(JOBS)
    assert setup.ledger.take_changes(WORKFLOW).dirty is None
    assert setup.queued(setup.queue) == ["team/w"]


def test_workflows_go_on_whose_jobs_were_read_by_themselves(setup: Setup) -> None:
    setup.handlers.jobs_known(JOBS, Owners({"u-1": "team/w", "u-2": "team/v"}, 7))
    assert sorted(setup.queued(setup.queue)) == ["team/v", "team/w"]


def test_a_cache_that_is_complete_requeues_the_users_of_its_kind_and_who_waits_for_their_jobs(setup: Setup) -> None:
    setup.handlers.requeue_users(JOBS)
    assert setup.queued(setup.queue) == ["team/w"]
    assert setup.crons.changed == ["team/w"]
