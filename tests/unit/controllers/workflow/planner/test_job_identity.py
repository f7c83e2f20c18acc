"""Which attempt a job is: by namespace, controller owner, labels and name together."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.meta import Job
from pkg.controllers.workflow.planner.job_identity import (
    JobIdentity,
    WorkflowId,
    claimed_identity,
    identify,
    is_stripped,
)
from pkg.controllers.workflow.planner.progress import TaskKey
from tests.builders import UID, WORKFLOW

OWNER = {"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "Workflow", "name": "w", "uid": UID, "controller": True}
LABELS = {"workflow": "w", "workflow-uid": UID, "flow": "a", "attempt": "0"}


def job(name: str, *, owner: dict[str, Any] | None = None, labels: dict[str, str] | None = None) -> Job:
    tags = {f"flow.workflow.sh/{key}": value for key, value in {**LABELS, **(labels or {})}.items() if value}
    meta = {"name": name, "namespace": "team", "labels": tags, "ownerReferences": [{**OWNER, **(owner or {})}]}
    return msgspec.convert({"metadata": meta}, Job)


def attempt(number: int, index: int = 0) -> JobIdentity:
    return JobIdentity(WORKFLOW, TaskKey("a", index), number)


OURS: dict[str, tuple[Job, JobIdentity]] = {
    "the first attempt": (job("w-a"), attempt(0)),
    "an index and a later attempt": (job("w-a-3-r2", labels={"index": "3", "attempt": "2"}), attempt(2, 3)),
    "under the fallback name": (job("w-a-6a3ef3c2"), attempt(0)),
    "of a later version of the group": (job("w-a", owner={"apiVersion": "flow.workflow.sh/v1"}), attempt(0)),
    "of a Workflow that was recreated under the name": (
        job("w-a", owner={"uid": "new"}, labels={"workflow-uid": "new"}),
        JobIdentity(WorkflowId("team", "w", "new"), TaskKey("a", 0), 0),
    ),
    "without the labels that repeat the owner": (job("w-a", labels={"workflow": "", "workflow-uid": ""}), attempt(0)),
}


@pytest.mark.parametrize(("one", "expected"), OURS.values(), ids=OURS)
def test_a_job_is_ours(one: Job, expected: JobIdentity) -> None:
    assert identify(one) == expected
    assert claimed_identity(one) == expected


FOREIGN: dict[str, Job] = {
    "without a controller": job("w-a", owner={"controller": False}),
    "of another kind": job("w-a", owner={"kind": "CronJob"}),
    "of another group": job("w-a", owner={"apiVersion": "batch/v1"}),
    "of an owner without a UID": job("w-a", owner={"uid": ""}, labels={"workflow-uid": ""}),
    "with the UID of one Workflow in its label and of another in its owner": job("w-a", labels={"workflow-uid": "x"}),
    "with the name of one Workflow in its label and of another in its owner": job("w-a", labels={"workflow": "x"}),
    "without a flow": job("w-a", labels={"flow": ""}),
    "without an attempt": job("w-a", labels={"attempt": ""}),
    "with an attempt that is no number": job("w-a", labels={"attempt": "one"}),
    "with an attempt of more digits than any of ours": job("w-a", labels={"attempt": "1" * 30}),
    "with an attempt written in another way": job("w-a-r1", labels={"attempt": "01"}),
    "with an index that is no number": job("w-a", labels={"index": "-1"}),
}


@pytest.mark.parametrize("one", FOREIGN.values(), ids=FOREIGN)
def test_a_job_is_foreign(one: Job) -> None:
    assert (identify(one), claimed_identity(one)) == (None, None)


NAMED_OTHERWISE: dict[str, Job] = {
    "a free name": job("mine"),
    "the name of another attempt": job("w-a", labels={"attempt": "999"}),
    "the name of another flow": job("w-b"),
    "the name of a Workflow of another name": job("v-a"),
    "the name with an index, without its label": job("w-a-0"),
    "the name without an index, with its label": job("w-a", labels={"index": "0"}),
    "the fallback name of another Workflow": job("w-a-12345678"),
    "the name with a hash that it is too short to need": job("w-a-c07ee9cb"),
}


@pytest.mark.parametrize("one", NAMED_OTHERWISE.values(), ids=NAMED_OTHERWISE)
def test_labels_and_owner_under_a_name_that_we_never_give_make_no_job_of_ours(one: Job) -> None:
    assert identify(one) is None
    assert claimed_identity(one) is not None


NONE = {"flow": "", "attempt": "", "workflow": "", "workflow-uid": ""}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(job("w-a", labels={"flow": ""}), True, id="without a flow"),
        pytest.param(job("w-a", labels={"workflow-uid": ""}), True, id="without the label by which jobs are watched"),
        pytest.param(job("w-a", labels=NONE), True, id="with its owner alone"),
        pytest.param(job("w-a", owner={"controller": False}), True, id="with an owner that is no controller"),
        pytest.param(job("w-a", owner={"uid": "other", "controller": False}), True, id="with its labels alone"),
        pytest.param(job("w-a"), False, id="a job of the task"),
        pytest.param(job("w-a", labels={"attempt": "1"}), False, id="a job of another attempt"),
        pytest.param(job("w-a", owner={"uid": "other"}), False, id="with another controller"),
        pytest.param(
            job("w-a", owner={"uid": "old"}, labels={"workflow-uid": "old", "flow": ""}),
            False,
            id="of a former workflow",
        ),
        pytest.param(
            job("w-a", owner={"uid": "other", "controller": False}, labels=NONE), False, id="with no mark of ours"
        ),
    ],
)
def test_an_object_that_was_made_as_a_job_of_this_workflow(one: Job, expected: bool) -> None:
    assert is_stripped(one, WORKFLOW) is expected
