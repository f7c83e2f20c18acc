"""Whose logs are asked for, and what is left of those whose pods are gone."""

from __future__ import annotations

import pytest

from pkg.apis.meta import GVR
from pkg.views.attempts import AttemptView
from pkg.views.log_tasks import Target, TargetError, describe, gone_tasks, is_workflow, not_started, parse_target
from pkg.views.workflow_view import view
from tests.unit.cli.conftest import NOW, nightly

FOUND = view(nightly(), NOW)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        pytest.param("", Target(), id="everything"),
        pytest.param("train", Target("train"), id="a flow"),
        pytest.param("train/3", Target("train", 3), id="an index"),
        pytest.param("prepare/0", Target("prepare", 0), id="a flow without for has the index 0"),
    ],
)
def test_target(text: str, target: Target) -> None:
    assert parse_target(text, FOUND) == target


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("trian", "did you mean 'train'", id="a slip"),
        pytest.param("xyz", "there are prepare, train", id="another name"),
        pytest.param("train/4", "indexes 0 to 3", id="an index that there is not"),
        pytest.param("train/x", "indexes 0 to 3", id="no number"),
    ],
)
def test_what_is_no_target_is_said(text: str, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        parse_target(text, FOUND)


def test_gone_are_tasks_that_ran_and_have_no_pod() -> None:
    gone = gone_tasks(FOUND, Target("train"), {("train", 0), ("train", 3)})
    assert [(one.label, one.phase) for one in gone] == [("train/1", "Running"), ("train/2", "Backoff")]
    assert gone[1].words.startswith("job nightly-train-2-r1, pod")
    assert [one.label for one in gone_tasks(FOUND, Target("train", 1), set())] == ["train/1"]
    assert gone_tasks(FOUND, Target("evaluate"), set()) == []


def test_what_has_not_started_is_named() -> None:
    assert [flow.name for flow in not_started(FOUND, Target("evaluate"))] == ["evaluate"]
    assert not_started(FOUND, Target("train")) == []


def test_the_job_says_which_attempt_it_was_and_when() -> None:
    (gone,) = gone_tasks(FOUND, Target("train", 2), set())
    known = {("train", 2): tuple(AttemptView(n, f"job-{n}", GVR(), 0.0, 60.0 * n or None) for n in (0, 1))}
    about = describe(nightly(), gone, known, None)
    assert (about.attempt, about.job, about.end) == ("1", "job-1", "1970-01-01T00:01:00Z")
    assert about.pod == "nightly-train-2-r1-x7k2p"
    assert describe(nightly(), gone, known, 0).job == "job-0"


@pytest.mark.parametrize(
    ("gvr", "expected"),
    [
        pytest.param(GVR("flow.workflow.sh", "v1alpha1", "workflows"), True, id="a nested Workflow"),
        pytest.param(GVR("batch", "v1", "jobs"), False, id="a Job"),
    ],
)
def test_a_nested_workflow_is_no_pod(gvr: GVR, expected: bool) -> None:
    assert is_workflow((AttemptView(0, "w-sub", gvr, 0.0, None),)) is expected
    assert is_workflow(()) is False


def test_without_the_job_its_name_is_that_which_it_mostly_has() -> None:
    (gone,) = gone_tasks(FOUND, Target("train", 1), set())
    assert describe(nightly(), gone, {}, 1).job == "nightly-train-1-r1"
