"""Tasks that apply objects which stay, and tasks that delete objects: what follows from what the cluster shows."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.flow.v1alpha1.types import Action, ObjectOfTask, ObjectRecord, WorkTemplate
from pkg.controllers.workflow.objects import Attempted
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import TaskKey
from pkg.controllers.workflow.planner.snapshot import CreateFault, Trouble
from tests.builders import NOW, WIDGETS, http, on, wf
from tests.manifests import decoded
from tests.object_bench import MAPS, SERVERS, ObjectBench

UP = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
RETRY: dict[str, Any] = {"retry": {"maxRetries": 2, "interval": "10s"}}


def acts(action: str, name: str = "thing", gvr: Any = MAPS, **fields: Any) -> dict[str, Any]:
    kind = {"group": gvr.group, "version": gvr.version, "resource": gvr.resource}
    spec = {"data": {"a": "1"}} if gvr is MAPS and action == "Apply" else {}
    template = {"gvr": kind, "action": action, "metadata": {"name": name}, "jobSpec": spec}
    return {"template": "", "templateSpec": template, **{key.rstrip("_"): value for key, value in fields.items()}}


def uids(bench: ObjectBench) -> list[str]:
    return [one.uid for record in bench.record.objects for one in record.objects]


def test_what_has_no_status_is_done_once_it_is_applied_and_its_uid_is_recorded() -> None:
    bench = ObjectBench(wf({"jobRetainPolicy": "delete"}, a=acts("Apply"), b="a"))
    bench.settle()
    assert bench.phases() == {"a": "Succeeded", "b": "Pending"}
    assert uids(bench) == [bench.objects[MAPS, "thing"].metadata.uid]
    bench.succeeds("b")
    assert bench.phase == "Succeeded"
    assert bench.calls == ["apply thing"], "jobRetainPolicy deletes jobs, and this is none"


def test_a_server_is_done_once_it_is_ready() -> None:
    bench = ObjectBench(wf(a=acts("Apply", gvr=SERVERS)))
    bench.settle()
    assert bench.phases() == {"a": "Pending"}
    bench.state(SERVERS, "thing", UP)
    bench.settle()
    assert bench.phases() == {"a": "Succeeded"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"shutdown": "Terminate"}, Reasons.WORKFLOW_DECIDED, id="Terminate"),
        pytest.param({"shutdown": "Stop"}, Reasons.WORKFLOW_DECIDED, id="Stop"),
    ],
)
@pytest.mark.parametrize(
    ("action", "gvr"),
    [
        pytest.param("Apply", SERVERS, id="of an apply"),
        pytest.param("Delete", SERVERS, id="of a deletion"),
        pytest.param("Delete", MAPS, id="of a deletion of a kind without a status"),
    ],
)
def test_the_task_ends_and_the_object_stays(change: dict[str, Any], reason: str, action: str, gvr: Any) -> None:
    bench = ObjectBench(wf({"jobRetainPolicy": "delete"}, a=acts(action, gvr=gvr)))
    bench.lingers = True
    bench.make(gvr, "thing")
    bench.settle()
    before = list(bench.calls)
    bench.set_spec(**change)
    if change["shutdown"] == "Stop" and action == "Delete":
        assert bench.phases() == {"a": "Running"}, "this attempt ends"
        bench.drop(gvr, "thing")
        bench.settle()
    assert bench.phase == "Failed"
    assert bench.calls == before, "nothing else is done to it"
    if bench.phases()["a"] == "Cancelled":
        assert bench.flow("a").message.endswith("; thing is left as it is")


def test_an_attempt_that_takes_too_long_leaves_the_object_and_the_next_applies_it_again() -> None:
    bench = ObjectBench(wf(a=acts("Apply", gvr=SERVERS, timeout="1m", **RETRY)))
    bench.settle()
    bench.wait(61)
    assert bench.task("a").reason == Reasons.DEADLINE_EXCEEDED
    bench.wait(11)
    assert bench.calls == ["apply thing", "apply thing"]
    bench.state(SERVERS, "thing", UP)
    bench.settle()
    assert (bench.phases(), bench.flow("a").attempts) == ({"a": "Succeeded"}, 2)


def test_the_timeout_counts_from_the_apply_and_not_from_the_age_of_the_object() -> None:
    bench = ObjectBench(wf(a=acts("Apply", gvr=SERVERS, timeout="1m")))
    bench.make(SERVERS, "thing")
    bench.now += 3600
    bench.settle()
    assert bench.phases() == {"a": "Pending"}


def test_an_applied_object_that_somebody_deletes_is_a_failed_attempt() -> None:
    bench = ObjectBench(wf(a=acts("Apply", gvr=SERVERS, **RETRY)))
    bench.settle()
    bench.drop(SERVERS, "thing")
    bench.settle()
    assert bench.task("a").reason == Reasons.JOB_DELETED
    bench.wait(11)
    assert bench.calls == ["apply thing", "apply thing"]


def test_a_conflict_fails_the_task_at_once() -> None:
    bench = ObjectBench(wf(a=acts("Apply", **RETRY)))
    words = 'conflict with "gitops": .data.a'
    bench.refuse = lambda made: CreateFault(
        Trouble.REFUSED, made.attempt, made.name, Reasons.APPLY_CONFLICT, words, NOW, 1, NOW
    )
    bench.settle()
    assert (bench.phase, bench.flow("a").reason, bench.flow("a").message) == ("Failed", "ApplyConflict", words)


def test_a_deletion_is_recorded_first_and_done_when_the_object_is_gone() -> None:
    bench = ObjectBench(wf(a=acts("Delete"), b="a"))
    bench.lingers = True
    bench.make(MAPS, "thing")
    bench.settle()
    assert bench.phases() == {"a": "Running", "b": "Waiting"}
    assert uids(bench) == [bench.objects[MAPS, "thing"].metadata.uid]
    assert bench.log.index("status") == 0, "the uid is in status before anything is deleted"
    assert "x/hold" in bench.flow("a").message or "x/hold" in bench.task("a").message
    bench.drop(MAPS, "thing")
    bench.settle()
    assert bench.phases() == {"a": "Succeeded", "b": "Pending"}


def test_a_deletion_of_what_is_not_there_succeeds() -> None:
    bench = ObjectBench(wf(a=acts("Delete")))
    bench.settle()
    assert (bench.phase, bench.calls) == ("Succeeded", ["find thing"])


def test_another_object_of_the_name_is_left_alone() -> None:
    bench = ObjectBench(wf(a=acts("Delete")))
    bench.lingers = True
    bench.make(MAPS, "thing")
    bench.settle()
    bench.drop(MAPS, "thing")
    bench.make(MAPS, "thing")
    bench.settle()
    assert bench.phase == "Succeeded"
    assert bench.calls.count("delete thing") == 1
    assert (MAPS, "thing") in bench.objects


@pytest.mark.parametrize("seen", [True, False], ids=["the object is there", "it went meanwhile"])
@pytest.mark.parametrize("action", ["Apply", "Delete"])
def test_the_next_controller_reads_the_object_once(action: str, seen: bool) -> None:
    bench = ObjectBench(wf(a=acts(action, gvr=SERVERS)))
    bench.lingers = True
    if action == "Delete":
        bench.make(SERVERS, "thing")
    bench.settle()
    if not seen:
        del bench.objects[SERVERS, "thing"]
    bench.restarted()
    assert bench.phase == "Running", "nothing is judged before the object was read"
    bench.read()
    bench.settle()
    assert bench.calls.count("get thing") == 1
    if seen:
        bench.state(SERVERS, "thing", UP)
        bench.settle()
    expected = {("Apply", True): "Succeeded", ("Apply", False): "Failed", ("Delete", False): "Succeeded"}
    assert bench.phase == expected.get((action, seen), "Running")
    assert [call for call in bench.calls if call.startswith("apply")] == ["apply thing"] * (action == "Apply")


def test_what_an_ended_task_applied_stays_in_status_whoever_writes_it() -> None:
    bench = ObjectBench(wf(a=acts("Apply"), b="a"))
    bench.settle()
    found = uids(bench)
    bench.restarted()
    bench.runs("b")
    bench.wait(5)
    assert (bench.flow("b").phase, uids(bench)) == ("Running", found)


def test_a_service_that_says_its_end_later_stays_in_status() -> None:
    serving = acts("Apply", gvr=WIDGETS)
    serving["templateSpec"]["completion"] = "Ready"
    bench = ObjectBench(wf(a=serving, b="a"))
    bench.settle()
    bench.state(WIDGETS, "thing", {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
    bench.settle()
    found = uids(bench)
    bench.state(WIDGETS, "thing", {"phase": "Failed"})
    bench.runs("b")
    bench.wait(5)
    assert (bench.phases(), uids(bench)) == ({"a": "Succeeded", "b": "Running"}, found)


def test_a_gate_on_an_applied_service_waits_until_the_next_controller_has_read_it() -> None:
    bench = ObjectBench(wf(a=acts("Apply", gvr=SERVERS), b=on(probe=http("a"))))
    bench.settle()
    bench.state(SERVERS, "thing", UP)
    bench.settle()
    bench.restarted()
    assert bench.phases() == {"a": "Succeeded", "b": "Waiting"}, "it is not known yet whether the service is there"
    bench.read()
    bench.settle()
    assert bench.phases() == {"a": "Succeeded", "b": "Waiting"}
    bench.drop(SERVERS, "thing")
    bench.settle()
    assert (bench.phases()["b"], bench.flow("b").reason) == ("Failed", Reasons.PROBE_TIMEOUT)


def test_a_gate_on_a_service_that_went_while_no_controller_looked_gives_up() -> None:
    bench = ObjectBench(wf(a=acts("Apply", gvr=SERVERS), b=on(probe=http("a"))))
    bench.settle()
    bench.state(SERVERS, "thing", UP)
    bench.settle()
    del bench.objects[SERVERS, "thing"]
    bench.restarted()
    bench.read()
    bench.settle()
    assert (bench.phases()["b"], bench.flow("b").reason) == ("Failed", Reasons.PROBE_TIMEOUT)


@pytest.mark.parametrize("action", ["Apply", "Delete"])
def test_what_the_attempt_before_left_is_not_read_for_an_attempt_whose_call_is_not_answered(action: str) -> None:
    """Else the new attempt would be taken for one whose object is gone."""
    bench = ObjectBench(wf(a=acts(action, gvr=SERVERS)))
    this, task = WorkflowId.of(bench.workflow), TaskKey("a", 0)
    record = ObjectRecord(0, str(SERVERS), Action(action), (ObjectOfTask("thing", "of-the-first"),))
    bench.follows.adopt(this, "a", record, (0,), is_indexed=False, needs_watch=True)
    attempted = Attempted(1, Action(action), is_indexed=False)
    bench.follows.expect(this, SERVERS, "thing", task, attempted, needs_watch=True)
    bench.make(SERVERS, "thing")
    bench.read()
    assert (bench.follows.unseen(this), bench.calls) == (frozenset(), [])
    assert not bench.ledger.take_changes(this).gone


def test_a_crash_between_the_apply_and_its_record_applies_again() -> None:
    bench = ObjectBench(wf(a=acts("Apply")))
    bench.loses_writes = True
    bench.step()
    bench.loses_writes = False
    bench.crash()
    bench.settle()
    assert (bench.phase, bench.calls) == ("Succeeded", ["apply thing", "apply thing"])


def test_a_failed_attempt_is_recorded_before_the_next_apply() -> None:
    """The object does not say which attempt failed."""
    bench = ObjectBench(wf(a=acts("Apply", gvr=SERVERS, **RETRY)))
    bench.settle()
    bench.state(SERVERS, "thing", {"conditions": [PROGRESS_FAILED], "observedGeneration": 1})
    bench.loses_writes = True
    bench.step()
    bench.now += 11
    bench.step()
    bench.step()
    assert bench.calls == ["apply thing"]
    bench.loses_writes = False
    bench.settle()
    bench.wait(11)
    assert bench.calls == ["apply thing", "apply thing"]


PROGRESS_FAILED = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


def test_each_index_has_an_object_of_its_own() -> None:
    bench = ObjectBench(wf(a=acts("Apply", "thing-{{index}}", for_={"replicas": 3})))
    bench.settle()
    assert sorted(name for _, name in bench.objects) == ["thing-0", "thing-1", "thing-2"]
    assert len(set(uids(bench))) == 3


@pytest.mark.parametrize("action", ["Apply", "Delete"])
def test_two_tasks_that_mean_one_object_are_told_apart(action: str) -> None:
    """Where a run finds the items, nobody can say it before."""
    bench = ObjectBench(wf(a=acts(action, "thing-{{item}}", for_={"items": ["x", "x", "y"]})))
    bench.settle()
    found = bench.flow("a")
    assert (found.reason, found.message) == (
        "RenderError",
        "index 1: template.metadata.name: this task means the same object as index 0; make the items differ, or add"
        " {{index}} to the name",
    )
    assert (found.succeeded, found.failed) == ("0,2", "1")


def test_a_failure_branch_and_a_target_follow_an_applied_object_as_they_follow_a_job() -> None:
    bench = ObjectBench(wf(a=acts("Apply", gvr=SERVERS), b=on("a")))
    bench.settle()
    bench.state(SERVERS, "thing", {"conditions": [PROGRESS_FAILED], "observedGeneration": 1})
    bench.settle()
    assert bench.phases() == {"a": "Failed", "b": "Skipped"}


def test_a_workflow_that_is_gone_leaves_the_object_and_no_trace_of_it_here() -> None:
    bench = ObjectBench(wf(a=acts("Apply", gvr=SERVERS)))
    bench.settle()
    this = WorkflowId.of(bench.workflow)
    bench.follows.release(this)
    assert not bench.ledger.jobs(this)
    assert not bench.follows.is_named(SERVERS, "team/thing")
    bench.follows.release_kinds()
    assert bench.informers.gvrs() == ()
    assert (SERVERS, "thing") in bench.objects


@pytest.mark.parametrize("there", [True, False], ids=["stays if it is there", "is applied again if it is gone"])
def test_at_a_restart_a_service_that_was_applied(there: bool) -> None:
    bench = ObjectBench(wf(a=acts("Apply", gvr=SERVERS), b="a"))
    bench.settle()
    bench.state(SERVERS, "thing", UP)
    bench.settle()
    bench.fails("b")
    assert bench.phase == "Failed"
    bench.follows.release(WorkflowId.of(bench.workflow))  # as after each end
    if not there:
        bench.drop(SERVERS, "thing")
    bench.crash()
    bench.set_spec(restart={"at": "1"})
    bench.read()
    bench.settle()
    assert bench.calls.count("apply thing") == (1 if there else 2)
    assert bench.phases()["b"] == ("Pending" if there else "Waiting")


def test_a_template_that_is_edited_from_a_job_to_an_object_leaves_the_job_to_be_cleaned_up() -> None:
    bench = ObjectBench(wf({"jobRetainPolicy": "delete"}, a={"template": "job", **RETRY}))
    bench.settle()
    bench.fails("a")
    bench.templates["job"] = decoded(
        {"metadata": {"name": "job", "uid": "t", "generation": 2}, "spec": acts("Apply")["templateSpec"]}, WorkTemplate
    )
    bench.wait(11)
    assert (bench.phase, bench.calls) == ("Succeeded", ["apply thing"])
    assert [deletion.name for deletion in bench.deleted] == ["w-a"]
    assert (MAPS, "thing") in bench.objects
