"""What a reading carries besides the state, and the order in which rules are tried."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.types import Completion, StatusRules
from pkg.apis.meta import Job
from pkg.workloads import (
    RULE_FAULT,
    JobState,
    KindRow,
    Reading,
    RuleError,
    convert_rules,
    read,
    registry,
    rules_for,
    with_rules,
)
from pkg.workloads.evaluator import reader
from pkg.workloads.look import Look
from pkg.workloads.model import Rules
from tests.unit.workloads.builders import cond, conds, gvr, job

BATCH = rules_for(gvr("jobs.v1.batch"))
VOLCANO = rules_for(gvr("jobs.v1alpha1.batch.volcano.sh"))
DEPLOYMENT = rules_for(gvr("deployments.v1.apps"))
OTHER = rules_for(gvr("widgets.v1.example.com"))


def _rules(running: dict[str, Any]) -> Rules:
    return convert_rules(StatusRules(running=(running,)), where="spec.statusRules")


def test_reason_and_message_come_from_the_condition_that_matched() -> None:
    status = conds(cond("FailureTarget"), cond("Failed", reason="BackoffLimitExceeded", message="too many retries"))
    assert read(BATCH, job(status)) == Reading(JobState.FAILED, "BackoffLimitExceeded", "too many retries")


def test_a_condition_without_a_reason_lends_its_type() -> None:
    assert read(BATCH, job(conds(cond("Failed")))).reason == "Failed"


def test_without_a_condition_they_come_from_the_fields_of_the_kind() -> None:
    status = {"state": {"phase": "Failed", "reason": "PodFailed", "message": "task worker failed"}}
    assert read(VOLCANO, job(status)) == Reading(JobState.FAILED, "PodFailed", "task worker failed")


def test_without_such_fields_the_matched_word_is_the_reason() -> None:
    assert read(VOLCANO, job({"state": {"phase": "Aborted"}})).reason == "Aborted"


def test_a_pending_job_says_what_stands_in_its_way() -> None:
    status = conds(cond("ReplicaFailure", reason="FailedCreate", message="exceeded quota"), observedGeneration=1)
    reading = read(DEPLOYMENT, job(status, replicas=1))
    assert reading == Reading(JobState.PENDING, "FailedCreate", "exceeded quota")


def test_long_texts_are_cut() -> None:
    reading = read(BATCH, job(conds(cond("Failed", reason="R" * 2000, message="m" * 5000))))
    assert (len(reading.reason.encode()), len(reading.message.encode())) == (128, 1024)
    assert reading.message.endswith("m…")


@pytest.mark.parametrize(
    "text", ["é" * 5000, "漢" * 5000, "a" + "🙂" * 5000, "\ud800" * 5000], ids=["2", "3", "4", "half"]
)
def test_texts_are_cut_by_bytes_between_characters(text: str) -> None:
    message = read(BATCH, job(conds(cond("Failed", message=text)))).message
    assert 1024 - 6 <= len(message.encode()) <= 1024
    assert message.removesuffix("…") == text[: len(message) - 1].replace("\ud800", "?")


def test_a_running_job_being_deleted_is_neither_ready_nor_final() -> None:
    reading = read(BATCH, job({"active": 1, "ready": 1}, deleting=True))
    assert (reading.state, reading.ready, reading.deleting) == (JobState.RUNNING, False, True)


def test_a_held_job_being_deleted_is_not_held() -> None:
    reading = read(BATCH, job(conds(cond("Suspended")), deleting=True))
    assert (reading.state, reading.deleting) == (JobState.PENDING, True)


def test_a_job_that_failed_while_being_deleted_has_failed() -> None:
    reading = read(BATCH, job(conds(cond("Failed", reason="BackoffLimitExceeded")), deleting=True))
    assert (reading.state, reading.deleting) == (JobState.FAILED, False)


@pytest.mark.parametrize(
    ("reading", "completion", "state"),
    [
        pytest.param(
            Reading(JobState.RUNNING, ready=True), Completion.READY, JobState.SUCCEEDED, id="ready is done under Ready"
        ),
        pytest.param(
            Reading(JobState.RUNNING, ready=True), Completion.TERMINAL, JobState.RUNNING, id="but not under Terminal"
        ),
        pytest.param(Reading(JobState.RUNNING), Completion.READY, JobState.RUNNING, id="running is not yet ready"),
        pytest.param(
            Reading(JobState.SUCCEEDED), Completion.READY, JobState.SUCCEEDED, id="an end is an end under Ready too"
        ),
        pytest.param(
            Reading(JobState.FAILED), Completion.READY, JobState.FAILED, id="a failure is one under Ready too"
        ),
    ],
)
def test_completion_decides_what_ready_counts_as(reading: Reading, completion: Completion, state: JobState) -> None:
    assert reading.under(completion) is state


def test_services_are_done_when_ready_by_default() -> None:
    ready = {kind for kind in ("deployments", "statefulsets", "daemonsets") if _completion(kind) is Completion.READY}
    assert ready == {"deployments", "statefulsets", "daemonsets"}
    assert BATCH.completion is Completion.TERMINAL


def _completion(kind: str) -> Completion:
    return rules_for(gvr(f"{kind}.v1.apps")).completion


def test_own_rules_are_read_from_the_api_type_too() -> None:
    rules = convert_rules(StatusRules(ok=({"cond": "Reached"},)), where="spec.statusRules")
    assert read(with_rules(OTHER, rules), job(conds(cond("Reached")))).state is JobState.SUCCEEDED


def test_a_key_without_own_rules_keeps_those_of_the_kind() -> None:
    row = with_rules(VOLCANO, convert_rules({"ok": [{"path": "status.succeeded", "gt": 0}]}, where="spec.statusRules"))
    assert read(row, job({"state": {"phase": "Failed"}})).state is JobState.FAILED
    assert read(row, job({"state": {"phase": "Completed"}})).state is JobState.PENDING
    assert read(row, job({"state": {"phase": "Running"}, "succeeded": 1})).state is JobState.SUCCEEDED


def test_own_rules_replace_those_of_the_kind() -> None:
    rules = convert_rules(
        {
            "fail": [{"path": "status.errors", "gt": 0}],
            "ok": [{"all": [{"path": "status.step", "eq": "end"}, {"path": "metadata.generation", "gt": 0}]}],
            "running": [{"path": "status.step", "exists": True}],
        },
        where="spec.statusRules",
    )
    row = with_rules(OTHER, rules)
    assert read(row, job({"step": "begin"})).state is JobState.RUNNING
    assert read(row, job({"step": "end"})).state is JobState.SUCCEEDED
    assert read(row, job({"step": "end", "errors": 2})).state is JobState.FAILED
    assert read(row, job({"phase": "Failed"})).state is JobState.PENDING
    assert read(OTHER, job({"phase": "Failed"})).state is JobState.FAILED


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        pytest.param({"okay": []}, "okay", id="an unknown key"),
        pytest.param({"ok": [{"cond": "A", "path": "status.a"}]}, "has cond, path", id="two forms at once"),
        pytest.param({"ok": [{"is": "True"}]}, "has none", id="no form"),
        pytest.param(
            {"ok": [{"path": "status.a"}]}, "exactly one of in, eq, gt, exists", id="a path compared to nothing"
        ),
        pytest.param({"ok": [{"path": "status.a", "eq": 1, "gt": 2}]}, "it has eq, gt", id="a path compared twice"),
        pytest.param({"ok": [{"cond": "A", "gt": 2}]}, "gt goes with path", id="a condition compared"),
        pytest.param({"ok": [{"path": "status.a", "gt": 2, "is": "True"}]}, "is goes with cond", id="a path with is"),
        pytest.param({"ok": [{"all": []}]}, "at least one predicate", id="an empty all"),
        pytest.param({"ok": [{"call": "jobReady"}]}, "ok[0]: call is not available", id="a function"),
        pytest.param({"ok": [{"all": [{"call": "jobReady"}]}]}, "ok[0].all[0]: call", id="a function inside all"),
        pytest.param({"ok": [{"path": ".status.a", "eq": 1}]}, "has a leading dot; write status.a", id="a leading dot"),
        pytest.param({"ok": [{"path": "data.a", "eq": 1}]}, "starts with status, spec or metadata", id="another root"),
        pytest.param(
            {"ok": [{"path": "metadata.managedFields", "eq": 1}]}, "of metadata only", id="a metadata field not kept"
        ),
        pytest.param({"ok": [{"cel": "object.status.a == 1", "eq": 1}]}, "eq goes with path", id="cel compared"),
        pytest.param({"ok": [{"cel": "object.status.a =="}]}, "ok[0]: cel: line 1, column", id="cel that is cut off"),
        pytest.param(
            {"fail": [{"path": "status.n", "gt": "3"}]},
            'fail[0].gt: must be a number, without quotes, not "3"',
            id="a bound that is no number",
        ),
        pytest.param(
            {"fail": [{"cond": "A", "is": True}]},
            'fail[0].is: must be a string, not true; write it in quotes: "true", or the word (y, n, yes, no, on, off)'
            " that YAML reads so",
            id="a condition status that is a boolean",
        ),
        pytest.param(
            {"fail": [{"paht": "status.a", "eq": 1}]},
            "fail[0].paht: there is no such field; did you mean path?",
            id="a slip in a field of a predicate",
        ),
        pytest.param(
            {"ok": [{"all": [{"cond": "A", "reason": ["B"]}]}]},
            "ok[0].all[0].reason: there is no such field; did you mean reasonIn?",
            id="a slip inside all",
        ),
        pytest.param(
            {"ok": [{"cel": "true", "odd": 1}]},
            "ok[0].odd: there is no such field; the fields here are cond, is, reasonIn, path, in, eq, gt,",
            id="a field that is like none",
        ),
        pytest.param(
            {"ok": [{"path": "status.a", "in": "Done"}]},
            'ok[0].in: must be a list, not "Done"',
            id="one word for a list",
        ),
        pytest.param(
            {"ok": [{"path": "status.a", "in": [["Done"]]}]},
            "ok[0].in[0]: must be a text, a number, true, false or null, not a list",
            id="a list in a list",
        ),
        pytest.param({"ok": [{"all": [{"cond": "A"}] * 256}]}, "more than 256 predicates", id="too many predicates"),
        pytest.param(
            {"ok": [{"cel": "object.status.a"}] * 17}, "17 predicates are cel; at most 16", id="too many expressions"
        ),
    ],
)
def test_a_faulty_rule_is_named_with_its_place(raw: object, fault: str) -> None:
    with pytest.raises(RuleError) as caught:
        with_rules(OTHER, convert_rules(raw, where="spec.statusRules"))
    assert str(caught.value).startswith("spec.statusRules")
    assert fault in str(caught.value)


QUEUED = {"kueue.x-k8s.io/queue-name": "team-a"}
ACTIVE = {"conditions": [cond("Running")]}


@pytest.mark.parametrize(
    ("resource", "found", "state"),
    [
        pytest.param(
            "jobs.v1.batch", job(labels=QUEUED, suspend=True), JobState.HELD, id="no word of its controller yet"
        ),
        pytest.param(
            "pytorchjobs.v1.kubeflow.org",
            job(labels=QUEUED, runPolicy={"suspend": True}),
            JobState.HELD,
            id="where Kubeflow's kinds have it",
        ),
        pytest.param(
            "rayjobs.v1.ray.io",
            job({"jobDeploymentStatus": "Initializing"}, labels=QUEUED, suspend=True),
            JobState.HELD,
            id="taken back before it ran",
        ),
        pytest.param(
            "pytorchjobs.v1.kubeflow.org",
            job(ACTIVE, labels=QUEUED, runPolicy={"suspend": True}),
            JobState.RUNNING,
            id="as long as it runs it runs",
        ),
        pytest.param("jobs.v1.batch", job(labels=QUEUED, suspend=False), JobState.PENDING, id="let go"),
        pytest.param(
            "pytorchjobs.v1.kubeflow.org", job(labels=QUEUED, runPolicy=["odd"]), JobState.PENDING, id="an odd shape"
        ),
    ],
)
def test_what_kueue_suspends_is_held_until_it_runs(resource: str, found: Job, state: JobState) -> None:
    reading = read(rules_for(gvr(resource)), found)
    assert reading.state is state
    assert (reading.message == "queue team-a holds the job") is (state is JobState.HELD)


@pytest.mark.parametrize(
    ("resource", "found", "says"),
    [
        pytest.param("jobs.v1.batch", job(suspend=True), "spec.suspend is true", id="its controller says nothing yet"),
        pytest.param("rayjobs.v1.ray.io", job(suspend=True), "spec.suspend is true", id="no operator runs"),
        pytest.param(
            "pytorchjobs.v1.kubeflow.org",
            job(runPolicy={"suspend": True}),
            "spec.runPolicy.suspend is true",
            id="in its run policy",
        ),
    ],
)
def test_what_is_suspended_without_a_queue_is_held_too(resource: str, found: Job, says: str) -> None:
    assert read(rules_for(gvr(resource)), found) == Reading(JobState.HELD, "Suspended", says)


def nested(levels: int) -> Any:
    value: Any = "end"
    for level in range(levels):
        value = [value] if level % 2 else {"name": value, "phase": value, "type": value}
    return value


def lists(levels: int) -> Any:
    value: Any = "end"
    for _ in range(levels):
        value = [value]
    return value


def alls(levels: int) -> Any:
    rule: Any = {"cond": "A"}
    for _ in range(levels):
        rule = {"all": [rule]}
    return rule


FIELDS = (
    *("conditions", "phase", "state", "reason", "message", "jobStatus", "applicationState", "containerStatuses"),
    *("replicatedJobsStatus", "jobsStatus", "currentRevision", "updateRevision", "ready", "observedGeneration"),
)


@pytest.mark.parametrize("row", [*registry().kinds, registry().generic], ids=lambda row: f"{row.kind} {row.group}")
def test_a_status_that_is_nested_deeply_is_read_like_any_other(row: KindRow) -> None:
    deep = nested(20_000)
    for status in (dict.fromkeys(FIELDS, deep), {field: [deep, {"type": deep, "name": deep}] for field in FIELDS}):
        assert read(row, job(status)).state in JobState


def test_of_very_many_conditions_the_first_are_read_and_the_reading_says_so() -> None:
    many = [cond("Other")] * 100_000
    reading = read(BATCH, job(conds(*many, cond("Failed"))))
    assert (reading.state, reading.reason, reading.faulty) == (JobState.PENDING, RULE_FAULT, True)
    assert reading.message == "status.conditions has 100,001 entries; the first 5,000 are read"
    assert read(BATCH, job(conds(cond("Failed", reason="R"), *many))) == Reading(JobState.FAILED, "R")


def test_very_many_conditions_of_one_type_are_bounded_for_all_rules_together() -> None:
    rules = convert_rules({"ok": [{"cond": "A", "reasonIn": ["B"]}] * 200}, where="spec.statusRules")
    reading = read(with_rules(OTHER, rules), job(conds(*[cond("A")] * 4_000)))
    assert reading.faulty
    assert "more than 300,000 steps" in reading.message
    assert len(reading.message.encode()) <= 1024


def test_very_many_groups_are_bounded() -> None:
    row = rules_for(gvr("jobsets.v1alpha2.jobset.x-k8s.io"))
    assert read(row, job({"replicatedJobsStatus": [{"name": "a", "ready": 1}] * 200_000})).faulty


def test_a_phase_of_a_megabyte_is_no_word() -> None:
    assert read(OTHER, job({"phase": "succeeded" + "." * 10**6 + "x"})).state is JobState.SUCCEEDED
    assert len(read(OTHER, job({"phase": "x" * 10**6})).message) < 200


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        pytest.param({"ok": [{"path": "status.a", "in": ["a" * 70_000]}]}, "at most 65,536 are allowed", id="bytes"),
        pytest.param({"ok": [{"path": "status.a", "eq": lists(5_000)}]}, "nested too deeply", id="a deep value"),
        pytest.param({"ok": [{"path": "status.a", "eq": lists(100)}]}, "more than 16 levels", id="a nested value"),
        pytest.param({"ok": [alls(9)]}, "8 levels", id="all"),
        pytest.param({"ok": [{"cond": "A", "x" * 60_000: 1}]}, "there is no such field", id="a long name"),
        pytest.param({"ok": [{"cond": "A"}] * 3_000}, "more than 256 predicates", id="very many"),
    ],
)
def test_rules_that_are_too_large_are_refused(raw: object, fault: str) -> None:
    with pytest.raises(RuleError, match=r"^spec\.statusRules") as caught:
        with_rules(OTHER, convert_rules(raw, where="spec.statusRules"))
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("row", "alone"),
    [
        pytest.param(BATCH, True, id="a Job"),
        pytest.param(OTHER, True, id="a kind without a row"),
        pytest.param(DEPLOYMENT, False, id="a Deployment may want no replicas"),
        pytest.param(with_rules(OTHER, _rules({"path": "status.x", "exists": False})), False, id="absence is a rule"),
        pytest.param(with_rules(OTHER, _rules({"cel": "!has(object.status.x)"})), False, id="so is CEL"),
    ],
)
@pytest.mark.parametrize("spec", [{}, {"suspend": True}, {"replicas": 0}], ids=["no spec", "suspended", "no replicas"])
@pytest.mark.parametrize("deleting", [False, True], ids=["there", "being deleted"])
def test_a_new_job_is_read_without_its_rules_where_none_can_hold(
    row: KindRow, alone: bool, spec: dict[str, Any], deleting: bool
) -> None:
    made = reader(row)
    assert made.reads_status_alone is alone
    whole = dataclasses.replace(made, reads_status_alone=False)
    new = job({}, deleting=deleting, **spec)
    assert made.read(Look(new, has_status=False)) == whole.read(Look(new, has_status=False))
