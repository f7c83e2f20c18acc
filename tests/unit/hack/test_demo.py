"""What the demo shows and how it judges, without a cluster and without a terminal."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from hack.demo.__main__ import examples
from hack.demo.changes import Change, changes
from hack.demo.screen import Happening, Result, choose, frame, share, table
from hack.demo.verdict import ANNOTATION, Expected, NoExpectation, differences, expected
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.types import Flow, FlowStatus, For, Workflow, WorkflowSpec, WorkflowStatus
from pkg.apis.meta import ObjectMeta
from pkg.views.workflow_view import view

START = "2026-01-02T03:04:05.500000Z"
T0 = 1767323045.5
P = Phase


def wf(
    *flows: FlowStatus,
    phase: WorkflowPhase | None = WorkflowPhase.RUNNING,
    sizes: dict[str, int] | None = None,
    expect: str | None = None,
    end: str = "",
) -> Workflow:
    """A workflow with these flows; `sizes` are those with `for`."""
    sizes = sizes or {}
    names = [flow.name for flow in flows] or ["a"]
    return Workflow(
        metadata=ObjectMeta(name="w", namespace="default", annotations={} if expect is None else {ANNOTATION: expect}),
        spec=WorkflowSpec(
            flows=tuple(Flow(name=name, for_=For(replicas=sizes[name]) if name in sizes else None) for name in names)
        ),
        status=WorkflowStatus(phase=phase, start_time=START, completion_time=end, flows=flows, progress="1/2"),
    )


def shown(thing: object, width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(thing)
    return out.getvalue()


# ---- changes


def one(old: FlowStatus | None, new: FlowStatus, size: int | None = None) -> list[Change]:
    sizes = {"a": size} if size else {}
    before = wf(old, sizes=sizes) if old is not None else wf(FlowStatus("a", P.WAITING), sizes=sizes)
    return changes(before, wf(new, sizes=sizes), T0)


@pytest.mark.parametrize(
    ("old", "new", "size", "said"),
    [
        pytest.param(FlowStatus("a", P.RUNNING), FlowStatus("a", P.RUNNING), None, [], id="no change says nothing"),
        pytest.param(None, FlowStatus("a", P.PENDING), None, [Change("w/a", P.PENDING)], id="a job was made"),
        pytest.param(
            FlowStatus("a", P.RUNNING, attempts=1),
            FlowStatus("a", P.BACKOFF, attempts=1, next_attempt_time="2026-01-02T03:04:06.500000Z"),
            None,
            [Change("w/a", P.BACKOFF, "failed; next attempt in 1.0 s")],
            id="a retry is announced with its delay",
        ),
        pytest.param(
            FlowStatus("a", P.RUNNING, running="0-2"),
            FlowStatus("a", P.RUNNING, running="0", backoff="1-2"),
            3,
            [Change("w/a[1-2]", P.BACKOFF, "failed; next attempt follows")],
            id="with for, the replicas that are tried again are named",
        ),
        pytest.param(
            FlowStatus("a", P.RUNNING, backoff="1"),
            FlowStatus("a", P.BACKOFF, backoff="1-2"),
            3,
            [Change("w/a[2]", P.BACKOFF, "failed; next attempt follows")],
            id="a replica in backoff is announced once",
        ),
        pytest.param(
            FlowStatus("a", P.BACKOFF, attempts=1),
            FlowStatus("a", P.PENDING, attempts=2),
            None,
            [Change("w/a", P.PENDING, "attempt 2")],
            id="the next attempt says its number",
        ),
        pytest.param(
            FlowStatus("a", P.RUNNING, attempts=1),
            FlowStatus("a", P.RUNNING, attempts=2),
            None,
            [Change("w/a", P.RUNNING, "attempt 2")],
            id="an attempt is announced though its backoff was never seen",
        ),
        pytest.param(
            None,
            FlowStatus("a", P.SKIPPED, reason="DependenciesImpossible", message="b failed"),
            None,
            [Change("w/a", P.SKIPPED, "DependenciesImpossible: b failed")],
            id="a skip says why",
        ),
    ],
)
def test_what_happens_to_a_flow(old: FlowStatus | None, new: FlowStatus, size: int | None, said: list[Change]) -> None:
    assert one(old, new, size) == said


def test_the_end_of_a_workflow_is_a_change_with_its_message() -> None:
    old, new = wf(), wf(phase=WorkflowPhase.FAILED)
    new = msgspec.structs.replace(new, status=msgspec.structs.replace(new.status, message="a failed"))
    assert changes(old, new, T0) == [Change("w", WorkflowPhase.FAILED, "a failed")]


@pytest.mark.parametrize(
    ("phase", "is_notable"),
    [
        (P.RUNNING, False),
        (P.SUCCEEDED, False),
        (P.BACKOFF, True),
        (P.SKIPPED, True),
        (P.FAILED, True),
        (WorkflowPhase.RUNNING, False),
        (WorkflowPhase.SUCCEEDED, True),
    ],
)
def test_retries_skips_failures_and_ends_are_notable(phase: Phase | WorkflowPhase, is_notable: bool) -> None:
    assert Change("w", phase).is_notable is is_notable


# ---- verdict


def ended(**phases: Phase) -> Workflow:
    flows = (FlowStatus(name, phase, attempts=1) for name, phase in phases.items())
    return wf(*flows, phase=WorkflowPhase.SUCCEEDED, end=START)


WANTED = Expected(WorkflowPhase.SUCCEEDED, {"a": P.SUCCEEDED, "b": P.SKIPPED}, {"a": 1})


@pytest.mark.parametrize(
    ("workflow", "said"),
    [
        pytest.param(ended(a=P.SUCCEEDED, b=P.SKIPPED), [], id="all as announced"),
        pytest.param(ended(a=P.FAILED, b=P.SKIPPED), ["a is Failed, not Succeeded"], id="another state of a flow"),
        pytest.param(ended(a=P.SUCCEEDED), ["b is not in its status"], id="a flow that is missing"),
        pytest.param(
            wf(FlowStatus("a", P.SUCCEEDED, attempts=3), FlowStatus("b", P.SKIPPED), phase=WorkflowPhase.SUCCEEDED),
            ["a took 3 attempts, not 1"],
            id="another number of attempts",
        ),
        pytest.param(
            wf(FlowStatus("a", P.SUCCEEDED, attempts=1), FlowStatus("b", P.SKIPPED), phase=WorkflowPhase.FAILED),
            ["is Failed, not Succeeded"],
            id="another state of the workflow",
        ),
        pytest.param(wf(FlowStatus("a", P.SUCCEEDED)), ["still Running"], id="a workflow that goes on"),
        pytest.param(wf(phase=None), ["still not begun"], id="a workflow that nobody looked at"),
    ],
)
def test_the_end_is_compared_with_what_the_example_announces(workflow: Workflow, said: list[str]) -> None:
    assert differences(workflow, WANTED) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(None, "has no annotation", id="no annotation"),
        pytest.param("{", "cannot be read", id="no JSON"),
        pytest.param('{"phase": "Fine"}', "cannot be read", id="an unknown phase"),
        pytest.param('{"phase": "Failed", "flow": {}}', "cannot be read", id="an unknown key"),
    ],
)
def test_an_example_that_announces_nothing_is_refused(text: str | None, said: str) -> None:
    with pytest.raises(NoExpectation, match=said):
        expected(wf(expect=text))


def test_every_example_announces_the_end_of_all_its_flows() -> None:
    found = {workflow.metadata.name: workflow for workflow in examples()}
    assert len(found) == 7
    for workflow in found.values():
        assert set(expected(workflow).flows) == {flow.name for flow in workflow.spec.flows}


# ---- screen

VIEWS = [
    view(
        msgspec.structs.replace(
            wf(
                FlowStatus("done", P.SUCCEEDED, attempts=1),
                FlowStatus("train", P.RUNNING, running="0-2", succeeded="3", attempts=1),
                FlowStatus("again", P.BACKOFF, attempts=2, next_attempt_time="2026-01-02T03:04:08.200000Z"),
                *(FlowStatus(f"later-{n}", P.WAITING) for n in range(6)),
                sizes={"train": 4},
            ),
            metadata=ObjectMeta(name=f"workflow-{number}", namespace="default"),
        ),
        T0 + 2,
    )
    for number in range(6)
]
LOG = [Happening(1.5, Change(f"w/{n}", P.SKIPPED, "because")) for n in range(30)]


@pytest.mark.parametrize(("width", "height"), [(200, 60), (130, 32), (80, 24), (50, 24), (40, 60)])
def test_the_screen_fits_the_terminal(width: int, height: int) -> None:
    lines = shown(frame(VIEWS, LOG, 3.0, width, height), width).splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_a_running_task_is_a_dot_of_its_own() -> None:
    text = shown(frame(VIEWS[:1], [], 3.0, 120, 40))
    assert "●●● 1/4" in text
    assert "in 0.7s" in text
    assert "● 3 running" in text


def test_running_tasks_are_red() -> None:
    out = io.StringIO()
    Console(file=out, width=120, force_terminal=True, color_system="standard").print(frame(VIEWS[:1], [], 3.0, 120, 40))
    assert "\x1b[31m●●● " in out.getvalue()


def test_only_as_many_happenings_as_fit_are_shown_the_latest_last() -> None:
    lines = shown(frame(VIEWS[:1], LOG, 3.0, 120, 20)).splitlines()
    assert "w/29" in lines[-1]
    assert not any("w/0 " in line for line in lines)


def test_where_room_is_short_what_goes_on_stays() -> None:
    flows = VIEWS[0].flows
    assert choose(flows, 9) == (list(flows), 0)
    assert [flow.name for flow in choose(flows, 4)[0]] == ["train", "again", "later-0"]
    assert choose(flows, 4)[1] == 6
    assert choose(flows, 1) == ([flows[1]], 0)


@pytest.mark.parametrize(
    ("wanted", "room", "got"),
    [
        pytest.param([6, 11], 20, [6, 11], id="enough room"),
        pytest.param([6, 11], 15, [6, 9], id="the highest gives way"),
        pytest.param([11, 11], 4, [3, 3], id="a line of content stays"),
        pytest.param([], 4, [], id="nothing to show"),
    ],
)
def test_rows_share_the_room(wanted: list[int], room: int, got: list[int]) -> None:
    assert share(wanted, room) == got


def test_the_table_says_what_is_not_as_expected() -> None:
    text = shown(table([Result(VIEWS[0], ()), Result(VIEWS[1], ("a is Failed, not Succeeded",))]))
    assert "workflow-0" in text
    assert "yes" in text
    assert "no: a is Failed, not Succeeded" in text
