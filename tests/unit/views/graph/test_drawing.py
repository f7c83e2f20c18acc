"""From a Workflow to boxes and arrows: every way to wait, replicas, phases, and flows that are alike."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.views.graph.drawing import MANY_FLOWS, MAX_UNFOLDED, draw
from pkg.views.graph.folding import fold_alike
from pkg.views.graph.picture import Arrow, ArrowKind, Box
from tests.builders import template, wf


def with_status(workflow: Workflow, **flows: dict[str, Any]) -> Workflow:
    raw = {"phase": "Running", "progress": "1/2", "flows": [{"name": name, **flow} for name, flow in flows.items()]}
    status = msgspec.json.decode(msgspec.json.encode(raw), type=type(workflow.status))
    return msgspec.structs.replace(workflow, status=status)


def on(**fields: Any) -> dict[str, Any]:
    return {"dependsOn": fields}


@pytest.mark.parametrize(
    ("flow", "arrows"),
    [
        pytest.param(on(targets=["a"]), [Arrow("a", "b", ArrowKind.TARGET)], id="a target"),
        pytest.param(
            on(probe={"taskStatusList": [{"taskName": "a", "phase": "Aborted"}]}),
            [Arrow("a", "b", ArrowKind.FAILURE, "Failed")],
            id="a failure branch, whatever its phase is called",
        ),
        pytest.param(
            on(probe={"taskStatusList": [{"taskName": "a", "phase": "Running"}]}),
            [Arrow("a", "b", ArrowKind.STATUS, "Running")],
            id="another phase",
        ),
        pytest.param(
            on(probe={"httpGetList": [{"taskName": "a", "port": 80, "path": "/x"}]}),
            [Arrow("a", "b", ArrowKind.PROBE, "HTTP :80/x")],
            id="an HTTP probe",
        ),
        pytest.param(
            on(probe={"tcpSocketList": [{"taskName": "a", "port": 5432}]}),
            [Arrow("a", "b", ArrowKind.PROBE, "TCP :5432")],
            id="a TCP probe",
        ),
        pytest.param(
            on(targets=["a"], orGroups=[{"probe": {"taskStatusList": [{"taskName": "a", "phase": "Failed"}]}}]),
            [
                Arrow("a", "b", ArrowKind.TARGET, "", True),
                Arrow("a", "b", ArrowKind.FAILURE, "Failed", True),
            ],
            id="alternatives are marked",
        ),
        pytest.param(
            {"patch": {"metadata": {"labels": {"ip": "{{flows.a.podIP}}"}}}},
            [Arrow("a", "b", ArrowKind.VALUE, "pod address")],
            id="a pod address",
        ),
        pytest.param(on(targets=["a", "a"]), [Arrow("a", "b", ArrowKind.TARGET)], id="two mentions are one arrow"),
    ],
)
def test_arrows(flow: dict[str, Any], arrows: list[Arrow]) -> None:
    assert list(draw(wf(a={}, b=flow)).arrows) == arrows


def test_a_template_needs_a_pod_address() -> None:
    known = {"job": template("job", metadata={"labels": {"ip": "{{flows.a.podIP}}"}}).spec}
    workflow = wf(a={"template": "other"}, b={})
    assert [arrow.source for arrow in draw(workflow, known).arrows] == ["a"]


def test_boxes_say_replicas_and_finally() -> None:
    found = draw(wf(a={"for": {"replicas": 4}}, z={"finally": True}))
    assert found.boxes == (Box("a", ("a",), "×4"), Box("z", ("z",), is_finally=True))


def test_boxes_of_a_live_workflow_say_phases() -> None:
    live = with_status(
        wf(a={"for": {"replicas": 4}}, b="a"),
        a={"phase": "Running", "succeeded": "0-1", "running": "2", "waiting": "3"},
        b={"phase": "Waiting"},
    )
    found = draw(live)
    assert found.boxes[0].note == "×4, 1 waiting, 1 running, 2 succeeded"
    assert [box.phase for box in found.boxes] == [Phase.RUNNING, Phase.WAITING]
    assert found.subtitle == "Running 1/2"


def test_unfolded_replicas_have_their_own_phase() -> None:
    live = with_status(wf(a={"for": {"replicas": 2}}), a={"phase": "Running", "succeeded": "0", "running": "1"})
    assert [(box.name, box.phase) for box in draw(live, unfold=True).boxes] == [
        ("a/0", Phase.SUCCEEDED),
        ("a/1", Phase.RUNNING),
    ]


def test_replicas_that_wait_for_the_previous_one_stand_in_a_row() -> None:
    found = draw(wf(a={"for": {"replicas": 3, "dependsOn": {"targets": ["a"]}}}), unfold=True)
    assert [(arrow.source, arrow.target) for arrow in found.arrows] == [("a/0", "a/1"), ("a/1", "a/2")]


def test_thousands_of_replicas_are_not_unfolded() -> None:
    found = draw(wf(a={"for": {"replicas": 5000}}, b={**on(targets=["a"]), "for": {"replicas": 5000}}), unfold=True)
    assert len(found.boxes) == 2 * (MAX_UNFOLDED + 1)
    assert len(found.arrows) == 1


def chains(count: int, length: int = 3) -> dict[str, Any]:
    return {f"c{at}-{step}": f"c{at}-{step - 1}" if step else {} for at in range(count) for step in range(length)}


def test_parallel_chains_become_one_chain_in_large_graphs() -> None:
    found = draw(wf(**chains(MANY_FLOWS)))
    assert [box.note for box in found.boxes] == [f"{MANY_FLOWS} flows"] * 3
    assert [(arrow.source, arrow.target) for arrow in found.arrows] == [
        ("c0-0 … c149-0", "c0-1 … c149-1"),
        ("c0-1 … c149-1", "c0-2 … c149-2"),
    ]


def test_small_graphs_are_not_folded_and_folding_can_be_asked_for_or_refused() -> None:
    small, large = wf(**chains(2)), wf(**chains(MANY_FLOWS))
    assert len(draw(small).boxes) == 6
    assert len(draw(small, fold=True).boxes) == 3
    assert len(draw(large, fold=False).boxes) == 3 * MANY_FLOWS


def test_a_chain_that_failed_stays_apart() -> None:
    workflow = with_status(
        wf(**chains(3, 2)),
        **{f"c{at}-0": {"phase": "Failed" if at == 1 else "Succeeded"} for at in range(3)},
        **{f"c{at}-1": {"phase": "Skipped" if at == 1 else "Running"} for at in range(3)},
    )
    found = draw(workflow, fold=True)
    assert [(box.name, box.phase) for box in found.boxes] == [
        ("c0-0 … c2-0", Phase.SUCCEEDED),
        ("c0-1 … c2-1", Phase.RUNNING),
        ("c1-0", Phase.FAILED),
        ("c1-1", Phase.SKIPPED),
    ]


def test_a_graph_without_pattern_stays_as_it_is() -> None:
    picture = draw(wf(**chains(1, 100)), fold=False)
    assert fold_alike(picture) == picture


@pytest.mark.parametrize(
    ("depth", "shown"),
    [
        pytest.param(0, ["b"], id="the flow alone"),
        pytest.param(1, ["a", "b", "c"], id="what it waits for and what waits for it"),
        pytest.param(5, ["a", "b", "c", "d"], id="all that is connected"),
    ],
)
def test_only_what_is_near(depth: int, shown: list[str]) -> None:
    found = draw(wf(a={}, b="a", c="b", d="c", x={})).near(["b"], depth)
    assert [box.name for box in found.boxes] == shown
    assert all(arrow.source in shown and arrow.target in shown for arrow in found.arrows)


@pytest.mark.parametrize(
    ("flow", "note"),
    [
        pytest.param({"for": {"items": ["x", "y"]}}, "×2", id="items"),
        pytest.param({"for": {"itemsFrom": "{{flows.a.outputs.files}}"}}, "×?", id="items that a run finds"),
        pytest.param({"when": "1 < 2"}, "when", id="a condition"),
        pytest.param({"startDelay": "5m"}, "after 5m", id="a delay"),
        pytest.param(
            {
                "mutexes": ["db"],
                "semaphores": [{"configMapKeyRef": {"name": "limits", "key": "gpus"}}],
                "for": {"replicas": 3},
            },
            "×3, mutex db, semaphore limits/gpus",
            id="locks",
        ),
        pytest.param(
            {"templateSpec": {"gvr": {"version": "v1", "resource": "configmaps"}, "action": "Apply", "jobSpec": {}}},
            "applied",
            id="an object that stays",
        ),
        pytest.param(
            {"templateSpec": {"gvr": {"version": "v1", "resource": "configmaps"}, "action": "Delete", "jobSpec": {}}},
            "deletes",
            id="an object that goes",
        ),
    ],
)
def test_a_box_says_what_its_flow_does_besides(flow: dict[str, Any], note: str) -> None:
    assert draw(wf(a={}, b=flow)).by_name["b"].note == note


def test_an_approval_is_a_box_of_its_own_kind() -> None:
    boxes = draw(wf(a={}, ask={"approval": {}, **on(targets=["a"])})).boxes
    assert [(box.name, box.note, box.is_approval) for box in boxes] == [("a", "", False), ("ask", "approval", True)]


def test_approvals_are_not_drawn_as_one_with_flows_that_have_jobs() -> None:
    boxes = fold_alike(draw(wf(a={}, b={}, ask={"approval": {}}, c="a b ask"))).boxes
    assert [(box.flows, box.is_approval) for box in boxes] == [(("a", "b"), False), (("ask",), True), (("c",), False)]
