"""A kind without a row, judged by words and conditions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.meta import GVR, Job
from pkg.workloads import JobState, Reading, read, registry, rules_for
from pkg.workloads.functions import BAD_WORDS, GOOD_WORDS
from tests.unit.workloads.builders import cond, conds, job

P, R, S, F, H = JobState.PENDING, JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED, JobState.HELD
ROW = rules_for(GVR("example.com", "v1", "widgets"))


def test_an_unknown_kind_gets_the_generic_row() -> None:
    assert ROW is registry().generic


@pytest.mark.parametrize(
    ("status", "state", "ready"),
    [
        pytest.param({}, P, False, id="an empty status is Pending"),
        pytest.param({"phase": "Running"}, R, False, id="a running word is Running"),
        pytest.param({"phase": "in-progress"}, R, False, id="only the letters of a word count"),
        pytest.param({"phase": "Waiting"}, P, False, id="a word that means not yet is Pending"),
        pytest.param({"state": {"phase": "Completed"}}, S, False, id="status.state.phase is looked at"),
        pytest.param({"state": "DONE"}, S, False, id="status.state in upper case"),
        pytest.param({"jobStatus": {"state": "FINISHED"}}, S, False, id="status.jobStatus.state is looked at"),
        pytest.param({"applicationState": {"state": "Error"}}, F, False, id="status.applicationState.state counts"),
        pytest.param({"jobDeploymentStatus": "Validation-Failed"}, F, False, id="status.jobDeploymentStatus counts"),
        pytest.param({"jobStatus": "STOPPED"}, F, False, id="status.jobStatus counts"),
        pytest.param({"phase": "Running", "jobStatus": "FAILED"}, R, False, id="the first phase path wins"),
        pytest.param(conds(cond("Complete")), S, False, id="Complete counts where there is no phase"),
        pytest.param(conds(cond("Completed")), S, False, id="Completed counts where there is no phase"),
        pytest.param(conds(cond("Succeeded")), S, False, id="Succeeded counts where there is no phase"),
        pytest.param(conds(cond("Complete"), phase="Running"), R, False, id="Complete does not count beside a phase"),
        pytest.param(conds(cond("Failed"), phase="Succeeded"), F, False, id="Failed beats a good word"),
        pytest.param(conds(cond("Failure")), F, False, id="Failure is a failure"),
        pytest.param(conds(cond("Stalled")), F, False, id="Stalled is a failure"),
        pytest.param(conds(cond("Succeeded", "False")), F, False, id="Succeeded=False is a failure"),
        pytest.param(conds(cond("Succeeded", "Unknown")), P, False, id="Succeeded=Unknown is undecided"),
        pytest.param(conds(cond("Ready")), R, True, id="Ready is ready"),
        pytest.param(conds(cond("Available")), R, True, id="Available is ready"),
        pytest.param({"phase": "Suspended"}, H, False, id="Suspended is held"),
        pytest.param(conds(cond("Suspended")), H, False, id="the condition Suspended is held"),
        pytest.param(conds(cond("Suspended"), phase="Succeeded"), S, False, id="a good word beats Suspended"),
        pytest.param({"phase": "Done", "observedGeneration": 0}, P, False, id="a status behind its spec is Pending"),
        pytest.param({"phase": 7, "conditions": "none"}, P, False, id="nonsense is Pending"),
        pytest.param(
            {"conditions": [None, "x", {}, {"type": [], "reason": []}]},
            P,
            False,
            id="nonsense in conditions is Pending",
        ),
    ],
)
def test_a_status_without_rules_reads_as(status: dict[str, Any], state: JobState, ready: bool) -> None:
    reading = read(ROW, job(status))
    assert (reading.state, reading.ready) == (state, ready)


@pytest.mark.parametrize("word", sorted(GOOD_WORDS))
def test_every_good_word_is_success(word: str) -> None:
    assert read(ROW, job({"phase": word.upper()})).state is S


@pytest.mark.parametrize("word", sorted(BAD_WORDS))
def test_every_bad_word_is_failure(word: str) -> None:
    assert read(ROW, job({"phase": word.capitalize()})).state is F


@pytest.mark.parametrize("odd", [{"a": 1}, "x", 3, [1, [2], None, {"name": {}}], True, None])
@pytest.mark.parametrize("field", ["replicas", "suspend", "replicatedJobs"])
def test_an_odd_spec_does_not_make_an_object_unreadable(field: str, odd: Any) -> None:
    raw = {"metadata": {"name": "x"}, "spec": {field: odd}, "status": {"phase": "Done"}}
    seen = msgspec.json.decode(msgspec.json.encode(raw), type=Job)
    assert read(ROW, seen).state is S
    for row in registry().kinds:
        read(row, seen)


QUEUE = {"kueue.x-k8s.io/queue-name": "team-a"}


@pytest.mark.parametrize(
    ("seen", "reading"),
    [
        pytest.param(
            job(labels=QUEUE, suspend=True),
            Reading(H, "Suspended", "queue team-a holds the job"),
            id="a queue holds a job whose controller says nothing",
        ),
        pytest.param(
            job({"phase": "Suspended"}, labels=QUEUE, suspend=True),
            Reading(H, "Suspended"),
            id="a controller that says so itself",
        ),
        pytest.param(
            job({"phase": "Queued"}, suspend=True),
            Reading(H, "Suspended", "spec.suspend is true"),
            id="without a label",
        ),
        pytest.param(job(labels=QUEUE, suspend=False), Reading(P), id="a job that was released"),
        pytest.param(job(labels=QUEUE), Reading(P), id="a kind that has no suspend"),
        pytest.param(job(labels=QUEUE, suspend="true"), Reading(P), id="a text is not true"),
        pytest.param(job({"phase": "Running"}, labels=QUEUE, suspend=True), Reading(R), id="a job that still runs"),
        pytest.param(job({"phase": "Done"}, suspend=True), Reading(S, "Done"), id="a job that has ended"),
    ],
)
def test_a_suspended_job_is_held(seen: Job, reading: Reading) -> None:
    assert read(ROW, seen) == reading


@pytest.mark.parametrize(
    ("status", "state"),
    [
        pytest.param({"phase": "Succeeded", "observedGeneration": 1}, S, id="an end"),
        pytest.param({"phase": "Running", "observedGeneration": 1}, R, id="a start"),
        pytest.param(conds(cond("Failed"), observedGeneration=1), F, id="a failure"),
    ],
)
def test_without_the_status_subresource_observed_generation_is_not_used(
    status: dict[str, Any], state: JobState
) -> None:
    seen = job(status, generation=2)
    assert read(ROW, seen).state is P
    assert read(ROW, seen, has_status=False).state is state


def test_without_the_status_subresource_conditions_of_an_older_generation_count() -> None:
    row = rules_for(GVR("jobset.x-k8s.io", "v1alpha2", "jobsets"))
    seen = job(conds(cond("Suspended", observedGeneration=1)), generation=2)
    assert (read(row, seen).state, read(row, seen, has_status=False).state) == (P, H)


def test_without_the_status_subresource_a_service_needs_no_observed_generation() -> None:
    row = rules_for(GVR("apps", "v1", "deployments"))
    seen = job({"availableReplicas": 1}, generation=2)
    assert (read(row, seen).state, read(row, seen, has_status=False).state) == (P, R)
