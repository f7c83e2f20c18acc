"""A resource of several versions is in several caches: a job is one job, read as the version that its flow names."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.meta import GVR, Job, WholeJob
from pkg.controllers.engine.deltas import Delta
from pkg.controllers.workflow.ledger import Ledger
from pkg.controllers.workflow.planner.reading import look
from pkg.controllers.workflow.planner.snapshot import ObservedJob, Snapshot
from pkg.controllers.workflow.rule_book import RuleBook
from pkg.workloads import JobState
from tests.builders import UID, WORKFLOW, compiled, snapshot, task, template, wf

OLD, NEW = GVR("kubeflow.org", "v1", "mpijobs"), GVR("kubeflow.org", "v2beta1", "mpijobs")
OWNER = {"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "Workflow", "name": "w", "uid": UID, "controller": True}
EVICTED: dict[str, Any] = {"conditions": [{"type": "Failed", "status": "True", "reason": "Evicted"}]}


def job(version: int, *, uid: str = "j", kind: type[Job] = Job, **status: Any) -> Job:
    tags = {"flow.workflow.sh/flow": "a", "flow.workflow.sh/attempt": "0"}
    meta = {"name": "w-a", "namespace": "team", "uid": uid, "resourceVersion": str(version), "labels": tags}
    return msgspec.convert({"metadata": {**meta, "ownerReferences": [OWNER]}, "status": status}, kind)


def of(gvr: GVR, **spec: Any) -> Snapshot:
    """A workflow whose flow `a` names this version."""
    templates = {"mpi": template("mpi", gvr, jobSpec={}, **spec)}
    workflow = wf(a={"template": "mpi"})
    graph = compiled(workflow, templates)
    return snapshot(workflow, graph, templates=templates, rules=RuleBook().by_flow(graph, templates))


@pytest.mark.parametrize("shown", [OLD, NEW], ids=["shown by the cache of v1", "shown by the cache of v2beta1"])
def test_a_job_is_read_as_the_version_that_its_flow_names(shown: GVR) -> None:
    observed = ObservedJob(shown, job(1, **EVICTED), 0)
    assert look(of(NEW), observed).state is JobState.PENDING, "in v2beta1 an eviction can be taken back"
    assert look(of(OLD), observed).state is JobState.FAILED


@pytest.mark.parametrize("shown", [OLD, NEW], ids=["shown by the cache of v1", "shown by the cache of v2beta1"])
def test_the_rules_of_its_template_hold_whichever_cache_shows_it(shown: GVR) -> None:
    rules = {"ok": [{"path": "status.step", "eq": "done"}]}
    assert look(of(NEW, statusRules=rules), ObservedJob(shown, job(1, step="done"), 0)).state is JobState.SUCCEEDED


def test_a_job_of_another_kind_is_read_as_what_it_is() -> None:
    """The template was changed to another kind since."""
    done: dict[str, Any] = {"conditions": [{"type": "Complete", "status": "True"}]}
    assert look(of(NEW), ObservedJob(GVR("batch", "v1", "jobs"), job(1, **done), 0)).state is JobState.SUCCEEDED


def seen_by(*copies: tuple[GVR, Job]) -> list[ObservedJob]:
    ledger = Ledger()
    for gvr, one in copies:
        ledger.apply(gvr, [Delta("team/w-a", None, one)])
    return list(ledger.take_changes(WORKFLOW).jobs[task("a")])


def test_a_job_in_two_caches_is_one_job_and_its_newest_copy_counts() -> None:
    old, new = job(1), job(2)
    assert seen_by((OLD, old), (NEW, new)) == [ObservedJob(NEW, new, 0)]
    assert seen_by((NEW, new), (OLD, old)) == [ObservedJob(NEW, new, 0)]


def test_of_copies_of_one_age_the_fullest_counts() -> None:
    plain, whole = job(1), job(1, kind=WholeJob)
    assert seen_by((NEW, whole), (OLD, plain)) == [ObservedJob(NEW, whole, 0)]


def test_a_version_that_is_served_no_more_takes_no_job_away_that_another_shows() -> None:
    ledger = Ledger()
    one = job(1)
    for gvr in (OLD, NEW):
        ledger.apply(gvr, [Delta("team/w-a", None, one)])
    ledger.apply(OLD, [Delta("team/w-a", one, None, None, "kind gone")])
    view = ledger.take_changes(WORKFLOW)
    assert (view.jobs[task("a")], view.gone) == ((ObservedJob(NEW, one, 0),), {})
    ledger.apply(NEW, [Delta("team/w-a", one, None, one)])
    view = ledger.take_changes(WORKFLOW)
    assert (view.jobs, view.gone[task("a")]) == ({}, (ObservedJob(NEW, one, 0),))
