"""Every wait that can last says what it waits for, in which state that is, and what to do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.types import FlowStatus
from pkg.apis.meta import GVR, ObservedSpec
from pkg.controllers.workflow.planner.progress import ProbeAnswer, ProbeKey, TaskKey
from tests.builders import NOW, WIDGETS, Bench, http, on, status_of, tcp, template, wf
from tests.unit.controllers.workflow.planner.setups import Setup, barring, bench_of, refusing, without_kind

HTTP = "dependsOn.probe.httpGetList[0]"


def with_a_slip_in_the_kind() -> Bench:
    job = GVR("batch", "v1", "job")
    bench = Bench(wf(a={"template": "slip"}), {"slip": template("slip", job, jobSpec={})}, settle=False)
    bench.kinds[job] = None
    bench.settle()
    return bench


def unreadable() -> Bench:
    bench = Bench(wf(a={"template": "widget"}), settle=False)
    bench.synced -= {WIDGETS}
    bench.unlisted = {WIDGETS: "widgets is forbidden"}
    bench.settle()
    return bench


def suspended(bench: Bench) -> None:
    """The jobs of `a` and `w` are held, and the suspend field of `a` is true."""
    observed = bench.observed("a")
    bench.forge(observed.gvr, msgspec.structs.replace(observed.job, spec=ObservedSpec(suspend=True)))
    bench.is_held("a", "w")


HELD = bench_of(a="", w={"template": "widget"}, then=suspended)

WAITS: dict[str, tuple[Setup, str, str, str]] = {
    "for a target that has not started": (
        bench_of(b="", a="b", c="a"),
        "c",
        "WaitingForDependencies",
        "waits for a to succeed (now Waiting)",
    ),
    "for a target that runs": (
        bench_of(b="", a="b", then=lambda bench: bench.runs("b")),
        "a",
        "WaitingForDependencies",
        "waits for b to succeed (now Running)",
    ),
    "for a target between two attempts": (
        bench_of(b={"retry": {"maxRetries": 1}}, a="b", then=lambda bench: bench.fails("b")),
        "a",
        "WaitingForDependencies",
        "waits for b to succeed (now Backoff)",
    ),
    "for a failure": (
        bench_of(b="", a=on(probe=status_of("b", "Failed"))),
        "a",
        "WaitingForDependencies",
        "waits for b to fail (now Pending)",
    ),
    "for the previous index": (
        bench_of(a={"for": {"replicas": 3, "dependsOn": {"targets": ["a"]}}}, then=lambda bench: bench.runs("a/0")),
        "a",
        "WaitingForDependencies",
        "index 1 waits for the previous index to succeed (now Running)",
    ),
    "for a slot of the workflow": (
        bench_of({"parallelism": 2}, a="", b="", c=""),
        "c",
        "ParallelismReached",
        "waits for a free slot: 2 of 2 are in use (spec.parallelism)",
    ),
    "for a slot of a workflow that has more jobs than it may have now": (
        bench_of({"parallelism": 3}, a="", b="", c="", d="", then=lambda bench: bench.set_spec(parallelism=1)),
        "d",
        "ParallelismReached",
        "waits for a free slot: 3 of 1 are in use (spec.parallelism)",
    ),
    "for the end of a suspension": (
        bench_of({"suspend": True}, a=""),
        "a",
        "WorkflowSuspended",
        "the workflow is suspended; set spec.suspend to false to go on",
    ),
    "for a template": (
        bench_of(a={"template": "none"}),
        "a",
        "TemplateNotFound",
        "there is no WorkTemplate none in namespace team; create it, and the job is made at once",
    ),
    "for a kind": (
        without_kind,
        "a",
        "KindNotServed",
        "the cluster does not serve widgets.v1.example.com; install its CRD, and the job is made at once, "
        "or correct spec.gvr of WorkTemplate widget",
    ),
    "for a kind that is nearly one": (
        with_a_slip_in_the_kind,
        "a",
        "KindNotServed",
        "the cluster does not serve job.v1.batch; install its CRD, and the job is made at once, "
        'or correct spec.gvr of WorkTemplate slip: did you mean resource "jobs" of group "batch"?',
    ),
    "for the permission to list a kind": (
        unreadable,
        "a",
        "KindUnreadable",
        "the controller cannot list widgets.v1.example.com, so it creates no job of it; allow it list and watch: "
        "widgets is forbidden",
    ),
    "for a right that is missing": (barring("NotAllowed", "alice may not"), "a", "NotAllowed", "alice may not"),
    "for an answer about a right": (barring("RightsUnknown", "no answer"), "a", "RightsUnknown", "no answer"),
    "for a quota": (refusing("QuotaExceeded", "exceeded quota: tight"), "a", "QuotaExceeded", "exceeded quota: tight"),
    "for the API server, at first": (refusing("CreateFailed", "it is busy"), "a", "CreateFailed", "it is busy"),
    "for the API server, after half a minute": (
        refusing("CreateFailed", "it is busy", tries=6),
        "a",
        "CreateFailed",
        "it is busy; it has failed at least 6 times",
    ),
    "for a gate whose pod is pending": (
        bench_of(b="", a=on(probe=http("b"))),
        "a",
        "WaitingForProbe",
        "waits for b to answer HTTP /ok on port 8080 (now Pending)",
    ),
    "for a gate whose pod has not been asked yet": (
        bench_of(b="", a=on(probe=tcp("b")), then=lambda bench: bench.runs("b")),
        "a",
        "WaitingForProbe",
        "waits for b to answer TCP on port 8080",
    ),
    "for the suspend field of a job": (
        HELD,
        "a",
        "Suspended",
        "job w-a is suspended; it goes on once its suspend field is taken back",
    ),
    "for what a template's rules call held, without a suspend field": (
        HELD,
        "w",
        "Suspended",
        "job w-w is held, as its status says; it goes on once whoever holds it lets it go",
    ),
    "for one replica of a gate": (
        bench_of(b={"for": {"replicas": 2}}, a=on(probe=http("b")), then=lambda bench: bench.runs("b/1")),
        "a",
        "WaitingForProbe",
        "waits for b, index 1, to answer HTTP /ok on port 8080",
    ),
}


@pytest.mark.parametrize(("make", "flow", "reason", "message"), WAITS.values(), ids=WAITS)
def test_a_flow_waits(make: Setup, flow: str, reason: str, message: str) -> None:
    found = make().flow(flow)
    assert (found.reason, found.message) == (reason, message)


def gated(**probe: Any) -> Bench:
    """A flow `a` that waits for an answer of `b`, which runs."""
    bench = Bench(wf(b="", a=on(probe=http("b", **probe))))
    bench.runs("b")
    return bench


def says(bench: Bench, why: str, tries: int = 3) -> FlowStatus:
    """The gate of `a` as it is shown after this answer."""
    bench.answers = {ProbeKey("a", HTTP, 0): ProbeAnswer(why, "w-b-x7k2p", "10.0.0.3", tries, NOW)}
    bench.settle()
    return bench.flow("a")


def test_a_gate_shows_the_last_answer_with_pod_count_and_time() -> None:
    assert says(gated(), "HTTP 503").message == (
        "waits for b to answer HTTP /ok on port 8080; HTTP 503 from pod w-b-x7k2p (10.0.0.3), at least 3 times since "
        "2027-01-15T08:00:00Z"
    )


def test_the_same_answer_is_not_written_again() -> None:
    bench = gated()
    says(bench, "HTTP 503")
    writes = len(bench.writes)
    says(bench, "HTTP 503")
    assert len(bench.writes) == writes
    says(bench, "HTTP 503", tries=10)
    assert len(bench.writes) == writes + 1


@pytest.mark.parametrize("answer", ["HTTP 404", ""], ids=["that answers otherwise", "that nobody could ask"])
def test_a_gate_that_has_not_passed_for_ten_periods_waits_for_a_person(answer: str) -> None:
    bench = gated(periodSeconds=7)
    if answer:
        says(bench, answer)
    bench.wait(69.0)
    assert bench.flow("a").reason == "WaitingForProbe"
    made = bench.wait(1.0)
    found = bench.flow("a")
    assert found.reason == "ProbeUnanswered"
    assert found.message.startswith("waits for b to answer HTTP /ok on port 8080; ")
    assert (answer or "none of its pods that may be asked runs and has an address") in found.message
    assert found.message.endswith("; correct the probe or the pod, or set failAfter to give up")
    assert made.requeue_at is None
    assert [event.reason for event in bench.events].count("ProbeUnanswered") == 1


def test_the_ten_periods_are_waited_for_by_a_timer() -> None:
    bench = gated(periodSeconds=7)
    assert bench.step().requeue_at == bench.now + 70.0


def test_a_gate_that_waits_for_a_person_does_so_after_a_restart_of_the_controller() -> None:
    bench = gated()
    bench.wait(60.0)
    bench.crash()
    bench.settle()
    assert bench.flow("a").reason == "ProbeUnanswered"
    bench.passes("a")
    assert bench.flow("a").reason == ""


def addressed() -> Bench:
    """`a` needs the pod address of `b`, whose job runs."""
    bench = Bench(wf(b="", a={"patch": {"metadata": {"annotations": {"peer": "{{flows.b.podIP}}"}}}}))
    bench.runs("b")
    return bench


def test_a_pod_address_that_does_not_come_for_long_waits_for_a_person() -> None:
    bench = addressed()
    assert bench.step().requeue_at == bench.now + 50.0
    bench.wait(49.0)
    found = bench.flow("a")
    assert (found.reason, found.message) == ("WaitingForDependencies", "waits for the pod address of b (now Running)")
    bench.wait(1.0)
    found = bench.flow("a")
    assert (found.reason, found.message) == (
        "NoPodAddress",
        "waits for the pod address of b (now Running); none of its pods runs and has an address, or none can be found"
        " by the labels of its job; look at the pods of b, or take {{flows.b.podIP}} out",
    )
    assert [event.reason for event in bench.events].count("NoPodAddress") == 1


def test_it_does_so_after_a_restart_of_the_controller_until_the_address_comes() -> None:
    bench = addressed()
    bench.wait(60.0)
    bench.crash()
    bench.settle()
    assert bench.flow("a").reason == "NoPodAddress"
    bench.pod_ips = {TaskKey("b", 0): "10.0.0.7"}
    bench.settle()
    assert bench.flow("a").reason == ""


def test_a_gate_whose_job_is_tried_again_waits_for_its_pod() -> None:
    bench = Bench(wf(b={"retry": {"maxRetries": 1}}, a=on(probe=http("b"))))
    bench.runs("b")
    bench.wait(60.0)
    bench.fails("b")
    assert (bench.flow("a").reason, bench.flow("a").message) == (
        "WaitingForProbe",
        "waits for b to answer HTTP /ok on port 8080 (now Backoff)",
    )


def test_a_gate_that_gave_up_says_how_it_failed() -> None:
    bench = gated(failAfter="20s")
    says(bench, "connection refused")
    bench.wait(20.0)
    assert (bench.flow("a").reason, bench.flow("a").message) == (
        "ProbeTimeout",
        "b did not answer HTTP /ok on port 8080 within 20s of running; last: connection refused from pod w-b-x7k2p",
    )


def test_a_large_workflow_names_no_states_because_thousands_may_wait_for_one_flow() -> None:
    bench = Bench(wf(b="", **{f"a{number}": "b" for number in range(500)}))
    assert bench.flow("a1").message == "waits for b to succeed"
    writes = sum(len(write.operations) for write in bench.writes)
    bench.runs("b")
    assert sum(len(write.operations) for write in bench.writes) - writes < 10
