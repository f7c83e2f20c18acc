"""The evidence finds what was lost, read twice, or made from something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hack.faults import load
from hack.faults.evidence import Evidence
from hack.faults.load import Attempt, Object

SCORES = ["s0", "s1", "s2", "s3"]
PARTS = load.parts("u1")
STATUS: Object = {
    "flows": [
        {
            "name": "prepare",
            "phase": "Succeeded",
            "outputs": [{"name": "parts", "value": PARTS}, {"name": "first", "value": "f"}],
        },
        {"name": "train", "phase": "Succeeded", "succeeded": "0-3", "outputs": [{"name": "score", "values": SCORES}]},
        {"name": "serve", "phase": "Succeeded", "outputs": [{"name": "address", "value": "here"}]},
        {"name": "gate", "phase": "Succeeded", "message": "approved: u"},
    ],
    "record": {"end": {"phase": "Succeeded", "duration": 7}},
}
PAGE = {"address": "here", "scores": json.dumps(SCORES)}


def seen(change: Callable[[Evidence], Any] = lambda _: None) -> Evidence:
    """What a run shows in which all is well, after one change."""
    made = Evidence()
    made.see_workflow("w", STATUS)
    for index in range(4):
        made.see_job(Attempt("w", "train", index, 0), {"item": {"part": index, "by": "u1"}})
    made.see_job(Attempt("w", "evaluate", 0, 0), {"seen": json.dumps(SCORES)})
    made.see_job(Attempt("w", "report", 1, 2), {"seen": "s1", "item": {"part": 1}})
    made.see_job(Attempt("w", "finish", 0, 0), {"seen": "f"})
    made.see_ready("w", 100.5)
    made.see_ready("w", 900.0)  # said again: the answer to the first was lost
    made.see_delayed(Attempt("w", "audit", 0, 0), 103.0)  # in whole seconds: up to 103.999
    made.see_delayed(Attempt("w", "audit", 0, 1), 90.0)  # a retry has no delay
    made.see_delayed(Attempt("w", "train", 0, 0), 90.0)
    made.see_object("w-service", {"uid": "1"}, {"seen": "f"}, is_gone=False)
    made.see_object("w-page", {"uid": "2"}, PAGE, is_gone=False)
    made.see_object("w-held", {"uid": "3"}, {}, is_gone=True)
    made.see_object("w-held", {"uid": "4"}, {}, is_gone=False)
    change(made)
    return made


def other(*path: Any, value: str) -> Object:
    """The status with another value at a path."""
    made = json.loads(json.dumps(STATUS))
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return made  # type: ignore[no-any-return]


def test_a_run_in_which_all_is_well_is_clean() -> None:
    assert seen().faults() == []
    assert seen().incomplete("w") == []


FAULTS: dict[str, tuple[Callable[[Evidence], Any], str]] = {
    "an output with two values": (
        lambda e: e.see_workflow("w", other("flows", 2, "outputs", 0, "value", value="there")),
        "read 2 times",
    ),
    "an output of one index with two values": (
        lambda e: e.see_workflow("w", other("flows", 1, "outputs", 0, "values", 3, value="s4")),
        "read 2 times",
    ),
    "an output that is not recorded any more": (
        lambda e: e.see_workflow("w", {"flows": STATUS["flows"][:2]}),
        "and later it was not",
    ),
    "an approval that is taken a second time": (
        lambda e: e.see_workflow("w", other("flows", 3, "message", value="rejected")),
        "the approval was taken 2 times",
    ),
    "another duration": (
        lambda e: e.see_workflow("w", other("record", "end", "duration", value="8")),
        "how it went was recorded in turn as",
    ),
    "how it went is not recorded any more": (
        lambda e: e.see_workflow("w", other("record", "end", value="null")),
        "how it went was recorded in turn as",
    ),
    "a job that began before its startDelay was over": (
        lambda e: e.see_delayed(Attempt("w", "audit", 0, 0), 102.0),
        "audit began 1.5 s after prepare, its startDelay is 3 s",
    ),
    "a job with the item of another index": (
        lambda e: e.see_job(Attempt("w", "train", 2, 1), {"item": {"part": 1, "by": "u1"}}),
        "has the item 1",
    ),
    "a job with an item of another list": (
        lambda e: e.see_job(Attempt("w", "train", 2, 1), {"item": {"part": 2, "by": "u2"}}),
        "not in the recorded list",
    ),
    "a job that was made from another value": (
        lambda e: e.see_job(Attempt("w", "report", 0, 0), {"item": {"part": 0}, "seen": "s9"}),
        "made from s9",
    ),
    "a job that was made from another list": (
        lambda e: e.see_job(Attempt("w", "evaluate", 0, 1), {"seen": '["s0"]'}),
        "made from",
    ),
    "an applied object that is gone": (
        lambda e: e.see_object("w-page", {"uid": "2"}, PAGE, is_gone=True),
        "was deleted",
    ),
    "an applied object that was made anew": (
        lambda e: e.see_object("w-page", {"uid": "5"}, PAGE, is_gone=False),
        "was deleted",
    ),
    "an object that was applied with two contents": (
        lambda e: e.see_object("w-service", {"uid": "1"}, {"seen": "g"}, is_gone=False),
        "with 2 contents",
    ),
    "an applied object with an owner": (
        lambda e: e.see_object("w-service", {"uid": "1", "ownerReferences": [{}]}, {"seen": "f"}, is_gone=False),
        "has an owner",
    ),
    "a deletion of an object that the task did not find": (
        lambda e: e.see_object("w-held", {"uid": "4"}, {}, is_gone=True),
        "4 was deleted",
    ),
}


@pytest.mark.parametrize(("change", "words"), FAULTS.values(), ids=FAULTS)
def test_each_fault_is_found(change: Callable[[Evidence], Any], words: str) -> None:
    assert [fault for fault in seen(change).faults() if words in fault] != []


def test_what_a_succeeded_workflow_lacks_is_named() -> None:
    empty = Evidence().incomplete("w")
    assert [
        words for words in ("'parts'", "score", "no service", "no page", "w-held was not") if words in str(empty)
    ] == [
        "'parts'",
        "score",
        "no service",
        "no page",
        "w-held was not",
    ]
