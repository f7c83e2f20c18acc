"""A kind without a row, judged by words and conditions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.meta import GVR, Job
from pkg.workloads import JobState, read, registry, rules_for
from pkg.workloads.functions import BAD_WORDS, GOOD_WORDS
from tests.unit.workloads.builders import cond, conds, job

P, R, S, F = JobState.PENDING, JobState.RUNNING, JobState.SUCCEEDED, JobState.FAILED
ROW = rules_for(GVR("example.com", "v1", "widgets"))


def test_an_unknown_kind_gets_the_generic_row() -> None:
    assert ROW is registry().generic


@pytest.mark.parametrize(
    ("status", "state", "ready"),
    [
        pytest.param({}, P, False, id="an empty status is Pending"),
        pytest.param({"phase": "Running"}, R, False, id="a running word is Running"),
        pytest.param({"phase": "in-progress"}, R, False, id="only the letters of a word count"),
        pytest.param({"phase": "Waiting"}, P, False, id="an unknown word is Pending"),
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
