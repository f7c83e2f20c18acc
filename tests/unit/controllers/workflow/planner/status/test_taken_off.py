"""A job whose labels or owner reference a person takes off: its attempt has ended, and the message says why."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.meta import ObjectMeta, OwnerReference
from tests.builders import RUNNING, Bench, wf

Change = Callable[[ObjectMeta], ObjectMeta]
OTHER = OwnerReference("flow.workflow.sh/v1alpha1", "Workflow", "other", "u-other", controller=True)


def without(label: str) -> Change:
    return lambda meta: msgspec.structs.replace(
        meta, labels={name: value for name, value in meta.labels.items() if name != label}
    )


def labelled(label: str, value: str) -> Change:
    return lambda meta: msgspec.structs.replace(meta, labels={**meta.labels, label: value})


def owned(*owners: OwnerReference) -> Change:
    return lambda meta: msgspec.structs.replace(meta, owner_references=owners)


def without_controller(meta: ObjectMeta) -> ObjectMeta:
    (owner,) = meta.owner_references
    return owned(msgspec.structs.replace(owner, controller=False))(meta)


def moved(meta: ObjectMeta) -> ObjectMeta:
    return labelled(labels.WORKFLOW_UID, OTHER.uid)(owned(OTHER)(meta))


CASES: dict[str, tuple[Change, str]] = {
    "the label of the flow is removed": (without(labels.FLOW), f"its label {labels.FLOW} was removed"),
    "the label of the flow is changed": (
        labelled(labels.FLOW, "b"),
        f"its label {labels.FLOW} was changed from 'a' to 'b'",
    ),
    "the label of the index is removed": (without(labels.INDEX), f"its label {labels.INDEX} was removed"),
    "the label of the attempt is changed": (
        labelled(labels.ATTEMPT, "x"),
        f"its label {labels.ATTEMPT} was changed from '0' to 'x'",
    ),
    "the label of the workflow's uid is changed": (
        labelled(labels.WORKFLOW_UID, "u"),
        f"its label {labels.WORKFLOW_UID} was changed",
    ),
    "the owner reference is removed": (owned(), "its owner reference to the Workflow was removed"),
    "the owner reference has no controller: true": (
        without_controller,
        "its owner reference to the Workflow has no controller: true any more",
    ),
    "another object is its controller": (owned(OTHER), "its controller owner was changed"),
    "it is moved to another workflow": (moved, f"its label {labels.WORKFLOW_UID} was changed"),
}


@pytest.mark.parametrize(("change", "says"), CASES.values(), ids=CASES)
def test_the_message_says_what_was_changed(change: Change, says: str) -> None:
    bench = Bench(wf(a={"for": {"replicas": 2}, "retry": {"maxRetries": 1, "interval": "1m"}}))
    bench.say(RUNNING, "a/0", "a/1")
    bench.settle()
    bench.change_metadata("a/1", change)
    bench.settle()
    assert bench.tasks("a") == ["Running", "Backoff"]
    (item,) = bench.flow("a").replicas
    assert item.reason == "JobDeleted"
    assert item.message.startswith(f"job w-a-1 was taken off the task before it ended: {says}")
    assert item.message.endswith("It was not deleted")
    bench.wait(60)
    assert bench.names == ["w-a-0", "w-a-1", "w-a-1-r1"], "it is not waited for"
    bench.succeeds("a/0", "a/1")
    assert bench.phase == "Succeeded"
    assert "w-a-1" in bench.living, "it is left alone"


def test_a_job_that_had_ended_first_counts_as_it_ended() -> None:
    bench = Bench(wf(a=""))
    bench.succeeds("a")
    bench.change_metadata("a", without(labels.FLOW))
    bench.settle()
    assert (bench.phase, bench.phases()) == ("Succeeded", {"a": "Succeeded"})


def test_other_labels_and_owners_are_free() -> None:
    bench = Bench(wf(a=""))
    bench.runs("a")
    bench.change_metadata("a", labelled("team", "x"))
    second = OwnerReference("v1", "ConfigMap", "c", "u-c")
    bench.change_metadata("a", lambda meta: owned(*meta.owner_references, second)(meta))
    bench.settle()
    assert bench.phases() == {"a": "Running"}


def test_a_job_that_is_taken_off_after_the_decision_leaves_the_message_of_the_decision_alone() -> None:
    bench = Bench(wf({"successPolicy": {"type": "All", "remaining": "Continue"}}, a="", b="", c="", d=""))
    bench.runs("a", "b", "c", "d")
    bench.change_metadata("a", owned())
    bench.settle()
    decided = bench.workflow.status.message
    assert decided.startswith("flow a failed: JobDeleted, job w-a was taken off the task")
    for name in ("b", "c"):
        bench.change_metadata(name, owned())
        bench.settle()
    bench.succeeds("d")
    assert bench.phase == "Failed"
    assert bench.workflow.status.message == decided
