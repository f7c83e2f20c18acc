"""Which events are posted, which raise a count, and which are dropped."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from pkg.kube.client import Client
from pkg.kube.errors import Exists, Forbidden, KubeError, NotFound, Transient
from pkg.kube.event_recorder import Correlator, EventRecorder, NewEvent, ObjectReference, Posted

WORKFLOW = ObjectReference("flow.workflow.sh/v1alpha1", "Workflow", "train", "team", "u1")


def event(message: str = "m", *, name: str = "train", uid: str = "u1") -> NewEvent:
    return NewEvent(msgspec.structs.replace(WORKFLOW, name=name, uid=uid), "Normal", "Started", message, 0.0)


def test_an_object_may_say_25_things_and_then_one_every_five_minutes() -> None:
    correlator = Correlator()
    assert sum(correlator.admit(event(str(n)), 0.0) for n in range(100)) == 25
    assert [correlator.admit(event(), at) for at in (299.0, 300.0, 301.0)] == [False, True, False]


def test_one_that_talks_too_much_does_not_silence_another() -> None:
    correlator = Correlator()
    for _ in range(100):
        correlator.admit(event(), 0.0)
    assert correlator.admit(event(uid="u2"), 0.0)


def test_all_objects_together_are_bounded() -> None:
    correlator = Correlator()
    assert sum(correlator.admit(event(uid=str(n)), 0.0) for n in range(1000)) == 200
    assert sum(correlator.admit(event(uid=str(n)), 1.0) for n in range(1000, 2000)) == 20


def test_the_same_thing_counts_as_a_repetition_for_ten_minutes() -> None:
    correlator = Correlator()
    posted = Posted("train.1", 1, 100.0)
    correlator.remember(event(), posted)
    assert correlator.repeated(event(), 699.0) == posted
    assert correlator.repeated(event("other"), 101.0) is None
    assert correlator.repeated(event(uid="u2"), 101.0) is None
    assert correlator.repeated(event(), 700.0) is None


class Api:
    """Accepts Events, or raises the next of `failures`."""

    def __init__(self, *failures: KubeError | None) -> None:
        self.failures = list(failures)
        self.created: list[dict[str, Any]] = []
        self.patched: list[tuple[str, dict[str, Any]]] = []

    def create(self, gvr: object, namespace: str, body: dict[str, Any], kind: object) -> bytes:
        self._fail()
        self.created.append(body)
        return b"{}"

    def patch(self, gvr: object, namespace: str, name: str, body: bytes, **_: object) -> bytes:
        self._fail()
        self.patched.append((name, json.loads(body)))
        return b"{}"

    def _fail(self) -> None:
        if self.failures and (error := self.failures.pop(0)) is not None:
            raise error


def run(api: Api, emit: Callable[[EventRecorder], None]) -> tuple[int, int]:
    """Call `emit` and stop the recorder; the numbers of events posted and dropped."""
    counts = [0, 0]

    def count(which: int) -> None:
        counts[which] += 1

    recorder = EventRecorder(
        cast("Client", api),
        "workflow-controller",
        "host-1",
        on_emitted=lambda: count(0),
        on_dropped=lambda: count(1),
        wall_clock=lambda: 1_700_000_000.5,
    )
    emit(recorder)
    recorder.start()
    recorder.stop(5)
    return counts[0], counts[1]


def test_an_event_is_an_object_about_another() -> None:
    api = Api()
    assert run(api, lambda r: r.emit(WORKFLOW, "Warning", "Failed", "task a failed")) == (1, 0)
    [body] = api.created
    assert body["metadata"]["namespace"] == "team"
    assert body["metadata"]["name"].startswith("train.")
    assert body["involvedObject"] == {
        "apiVersion": "flow.workflow.sh/v1alpha1",
        "kind": "Workflow",
        "name": "train",
        "namespace": "team",
        "uid": "u1",
    }
    assert (body["type"], body["reason"], body["message"], body["count"]) == ("Warning", "Failed", "task a failed", 1)
    assert body["firstTimestamp"] == body["lastTimestamp"] == "2023-11-14T22:13:20Z"
    assert (body["source"], body["reportingInstance"]) == ({"component": "workflow-controller"}, "host-1")


def test_the_same_again_raises_the_count() -> None:
    api = Api()

    def emit(recorder: EventRecorder) -> None:
        for _ in range(3):
            recorder.emit(WORKFLOW, "Normal", "Started", "a")
        recorder.emit(WORKFLOW, "Normal", "Started", "b")

    assert run(api, emit) == (4, 0)
    name = api.created[0]["metadata"]["name"]
    assert [body["message"] for body in api.created] == ["a", "b"]
    assert [(who, patch["count"]) for who, patch in api.patched] == [(name, 2), (name, 3)]


def test_a_counted_event_that_expired_is_made_anew() -> None:
    api = Api(None, NotFound("expired", status=404))

    def emit(recorder: EventRecorder) -> None:
        recorder.emit(WORKFLOW, "Normal", "Started", "a")
        recorder.emit(WORKFLOW, "Normal", "Started", "a")

    assert run(api, emit) == (2, 0)
    assert len({body["metadata"]["name"] for body in api.created}) == 2


FAILURES = {
    "an event that was sent twice is there": (Exists("there", status=409), (1, 0)),
    "an event that is refused is dropped": (Forbidden("no", status=403), (0, 1)),
}


@pytest.mark.parametrize(("failure", "counts"), FAILURES.values(), ids=FAILURES.keys())
def test_failures(failure: KubeError, counts: tuple[int, int]) -> None:
    assert run(Api(failure), lambda r: r.emit(WORKFLOW, "Normal", "Started", "a")) == counts


def test_a_passing_failure_is_tried_again() -> None:
    done = threading.Event()
    api = Api(Transient("cut", retry_after=0.01))
    recorder = EventRecorder(cast("Client", api), "c", "i", on_emitted=done.set)
    recorder.start()
    recorder.emit(WORKFLOW, "Normal", "Started", "a")
    assert done.wait(5)
    recorder.stop(5)
    assert len(api.created) == 1


def test_too_many_and_too_late_are_dropped_and_counted() -> None:
    dropped: list[None] = []
    recorder = EventRecorder(cast("Client", Api()), "c", "i", on_dropped=lambda: dropped.append(None))
    for number in range(30):
        recorder.emit(WORKFLOW, "Normal", "Started", str(number))
    assert len(dropped) == 5
    recorder.start()
    recorder.stop(5)
    recorder.emit(ObjectReference("v1", "Pod", "other"), "Normal", "Started", "late")
    assert len(dropped) == 6


def test_names_and_messages_are_cut_to_what_the_api_server_takes() -> None:
    api = Api()
    long_name = msgspec.structs.replace(WORKFLOW, name="A_b" * 100)
    run(api, lambda r: r.emit(long_name, "Normal", "Started", "ü" * 2000))
    assert len(api.created[0]["metadata"]["name"]) <= 253
    assert api.created[0]["metadata"]["name"].startswith("a-ba-b")
    assert len(api.created[0]["message"].encode()) <= 1024
