"""Whole dry runs: which attempts there are, when they run, what is skipped, and the chain that decides the time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.views.dry_run.assumptions import AssumptionError, read_assumptions
from pkg.views.dry_run.outcome import DryRun, outcome
from pkg.views.dry_run.simulate import CannotRun, simulate
from tests.builders import TEMPLATES, on, tcp, wf


def run(workflow: Workflow, config_maps: dict[str, dict[str, str]] | None = None, **assumed: Any) -> DryRun:
    return outcome(simulate(workflow, TEMPLATES, read_assumptions(**assumed), config_maps or {}))


def spans(found: DryRun) -> dict[str, tuple[float, float]]:
    return {span.name: (round(span.start, 3), round(span.end, 3)) for span in found.spans}


def path(found: DryRun) -> list[str]:
    return [span.name for span in found.critical]


def failed(flow: str) -> dict[str, Any]:
    return on(probe={"taskStatusList": [{"taskName": flow, "phase": "Failed"}]})


@pytest.mark.parametrize(
    ("workflow", "assumed", "expected", "critical"),
    [
        pytest.param(wf(a={}), {}, {"a": (0, 60)}, ["a"], id="one flow takes the default"),
        pytest.param(
            wf(a={}, b="a", c="a", d="b c"),
            {"durations_of": ["b=2m", "c=5m"]},
            {"a": (0, 60), "b": (60, 180), "c": (60, 360), "d": (360, 420)},
            ["a", "c", "d"],
            id="a diamond goes over its slower side",
        ),
        pytest.param(
            wf(a={"for": {"replicas": 3, "parallelism": 2}}),
            {"durations_of": ["a/0=10s", "a/1=30s", "a/2=1m"]},
            {"a/0": (0, 10), "a/1": (0, 30), "a/2": (10, 70)},
            ["a/0", "a/2"],
            id="a task waits for the place of another",
        ),
        pytest.param(
            wf({"parallelism": 1}, a={}, b={}),
            {},
            {"a": (0, 60), "b": (60, 120)},
            ["a", "b"],
            id="the workflow runs one job at a time",
        ),
        pytest.param(
            wf(a={"retry": {"maxRetries": 2, "interval": "10s"}}, b="a"),
            {"failures": ["a:2"]},
            {"a": (0, 60), "a (attempt 1)": (70, 130), "a (attempt 2)": (150, 210), "b": (210, 270)},
            ["a", "a (attempt 1)", "a (attempt 2)", "b"],
            id="retries come after growing delays",
        ),
        pytest.param(
            wf(a={}, good="a", bad=failed("a"), z={"finally": True}),
            {"failures": ["a"]},
            {"a": (0, 60), "bad": (60, 120), "z": (120, 180)},
            ["a", "bad", "z"],
            id="a failure takes the failure branch",
        ),
        pytest.param(
            wf(a={"timeout": "20s", "retry": {"maxRetries": 1, "interval": "0s"}}),
            {},
            {"a": (0, 20), "a (attempt 1)": (20, 40)},
            ["a", "a (attempt 1)"],
            id="a timeout ends each attempt",
        ),
        pytest.param(
            wf(s={"template": "service"}, b=on(probe=tcp("s")), c="s"),
            {"durations_of": ["s=30s"], "probes": ["s=10s"]},
            {"s": (0, 30), "b": (10, 70), "c": (30, 90)},
            ["s", "c"],
            id="a service is ready later than it answers",
        ),
        pytest.param(
            wf(s={}, b=on(probe=tcp("s", failAfter="20s"))),
            {"probes": ["s=never"]},
            {"s": (0, 60)},
            ["s"],
            id="a probe gives up",
        ),
        pytest.param(
            wf(a={"for": {"replicas": 2, "dependsOn": {"targets": ["a"]}}}),
            {},
            {"a/0": (0, 60), "a/1": (60, 120)},
            ["a/0", "a/1"],
            id="each replica waits for the one before it",
        ),
        pytest.param(
            wf({"timeout": "90s"}, a={}, b="a", z={"finally": True}),
            {},
            {"a": (0, 60), "b": (60, 90), "z": (90, 150)},
            ["a", "b", "z"],
            id="the timeout of the workflow deletes what runs",
        ),
    ],
)
def test_when_attempts_run(
    workflow: Workflow, assumed: dict[str, Any], expected: dict[str, tuple[float, float]], critical: list[str]
) -> None:
    found = run(workflow, **assumed)
    assert spans(found) == expected
    assert path(found) == critical
    assert found.makespan == pytest.approx(max(end for _, end in expected.values()))


def test_figures() -> None:
    found = run(wf(a={}, b={}, c="a"), durations_of=["b=30s"])
    assert (found.phase, found.peak, found.busy, found.average) == ("Succeeded", 2, 150, 1.25)


def test_what_does_not_run_and_why() -> None:
    found = run(wf(a={}, good="a", bad=failed("a"), none={"for": {"replicas": 0}}))
    assert [(task.flow, task.phase, task.reason) for task in found.not_run] == [
        ("bad", "Skipped", "DependenciesImpossible"),
        ("none", "Skipped", "NoReplicas"),
    ]


def test_results_of_attempts() -> None:
    late, broken = {"timeout": "20s", "continueOnFail": True}, {"continueOnFail": True}
    found = run(wf(a=late, b=broken, s={"template": "service"}), failures=["b"])
    assert {span.flow: span.result for span in found.spans} == {"a": "DeadlineExceeded", "b": "Failed", "s": "Ready"}


PATH = {"from": {"path": "status.x"}}
LIST = {"outputs": [{"name": "files", **PATH}, {"name": "size", **PATH, "default": "3"}]}


def test_outputs_that_are_given() -> None:
    flows: dict[str, Any] = {
        "a": LIST,
        "big": {"when": "int(outputs.a.size) > 2"},
        "small": {"when": "int(outputs.a.size) <= 2"},
    }
    assert [span.flow for span in run(wf(**flows), outputs=["a.files=x"]).spans] == ["a", "big"]
    assert [span.flow for span in run(wf(**flows), outputs=["a.files=x", "a.size=1"]).spans] == ["a", "small"]
    assert run(wf(a=LIST)).notes == ("the output a.files is empty; --output-value a.files=VALUE gives one",)


def test_templates_inside_of_flows() -> None:
    service = {"gvr": {"group": "apps", "version": "v1", "resource": "deployments"}, "jobSpec": {}}
    workflow = wf(s={"templateSpec": service, "template": ""}, b="s")
    found = run(workflow)
    assert {span.flow: span.result for span in found.spans} == {"s": "Ready", "b": "Succeeded"}
    assert found.notes == ()


def test_an_unknown_template_is_a_job_and_said() -> None:
    found = run(wf(a={"template": "elsewhere"}))
    assert found.phase == "Succeeded"
    assert found.notes == ("these WorkTemplates are not in the files, and are taken for Jobs: elsewhere",)


def test_a_suspended_workflow_runs_as_if_it_were_not() -> None:
    found = run(wf({"suspend": True, "shutdown": "Stop"}, a={}))
    assert found.phase == "Succeeded"
    assert [note.partition(" ")[0] for note in found.notes] == ["spec.suspend", "spec.shutdown"]


def test_a_gate_that_never_opens_is_said() -> None:
    found = run(wf(s={"template": "service"}, b=on(probe=tcp("s"))), probes=["s=never"])
    assert found.phase == "Running"
    assert found.notes == ("nothing more happens: the workflow waits for ever",)


def test_an_invalid_workflow_cannot_run() -> None:
    with pytest.raises(CannotRun, match=r'targets\[0\]: no flow is named "x"'):
        run(wf(a="x"))


def test_json_has_everything() -> None:
    found = run(wf(a={"for": {"replicas": 2}}, b="a", c=failed("a"))).as_json()
    assert msgspec.json.decode(msgspec.json.encode(found)) == found
    assert found["makespanSeconds"] == 120
    assert found["attempts"][2] == {
        "flow": "b", "attempt": 0, "startSeconds": 60, "endSeconds": 120, "result": "Succeeded", "critical": True
    }  # fmt: skip
    assert found["criticalPath"] == [{"flow": "a", "index": 0, "attempt": 0}, {"flow": "b", "attempt": 0}]
    assert [(task["flow"], task["reason"]) for task in found["notRun"]] == [("c", "DependenciesImpossible")]


def test_a_thousand_flows() -> None:
    flows: dict[str, str | dict[str, Any]] = {f"f{at}": f"f{at - 1}" if at % 5 else {} for at in range(1000)}
    found = run(wf(**flows), durations_of=["f7=10m"])
    assert len(found.spans) == 1000
    assert found.makespan == 840
    assert path(found) == [f"f{at}" for at in range(5, 10)]


@pytest.mark.parametrize(
    ("assumed", "result", "begins"),
    [
        pytest.param({}, "Succeeded", 60, id="at once"),
        pytest.param({"durations_of": ["ask=1h"]}, "Succeeded", 3660, id="later"),
        pytest.param({"failures": ["ask"], "durations_of": ["ask=1h"]}, "Failed", 3660, id="rejected later"),
    ],
)
def test_a_person_decides_about_a_flow_with_approval(assumed: dict[str, Any], result: str, begins: float) -> None:
    found = run(wf(a={}, ask={"approval": {}, **on("a")}, b="ask", c=failed("ask")), **assumed)
    assert spans(found)["b" if result == "Succeeded" else "c"] == (begins, begins + 60)
    assert len(found.spans) == 2
    assert any(note.startswith("approved when it asks: ask;") for note in found.notes)


def limited(key: str) -> dict[str, Any]:
    return {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": key}}]}


@pytest.mark.parametrize(
    ("workflow", "config_maps", "assumed", "expected", "critical"),
    [
        pytest.param(
            wf(a={"mutexes": ["db"]}, b={"mutexes": ["db"]}, c={"mutexes": ["other"]}),
            {},
            {},
            {"a": (0, 60), "b": (60, 120), "c": (0, 60)},
            ["a", "b"],
            id="two flows take turns at a mutex",
        ),
        pytest.param(
            wf(a={"for": {"replicas": 3}, **limited("db")}),
            {"limits": {"db": "2"}},
            {},
            {"a/0": (0, 60), "a/1": (0, 60), "a/2": (60, 120)},
            ["a/0", "a/2"],
            id="a semaphore of a ConfigMap in the files",
        ),
        pytest.param(
            wf(a={"for": {"replicas": 3}, **limited("db")}),
            {"limits": {"db": "2"}},
            {"semaphores": ["limits/db=3"]},
            {"a/0": (0, 60), "a/1": (0, 60), "a/2": (0, 60)},
            ["a/0"],
            id="a number of places that is given",
        ),
        pytest.param(
            wf(a={"for": {"replicas": 2}, **limited("db")}),
            {},
            {},
            {"a/0": (0, 60), "a/1": (60, 120)},
            ["a/0", "a/1"],
            id="one place where nobody says how many",
        ),
        pytest.param(
            wf(a={"mutexes": ["db"], "retry": {"maxRetries": 1, "interval": "10s"}}, b={"mutexes": ["db"]}),
            {},
            {"failures": ["a:1"]},
            {"a": (0, 60), "b": (60, 120), "a (attempt 1)": (120, 180)},
            ["a", "a (attempt 1)"],
            id="a task gives its lock back before it is retried",
        ),
        pytest.param(
            wf({"mutexes": ["whole"]}, a={}, b={}),
            {},
            {},
            {"a": (0, 60), "b": (0, 60)},
            ["a"],
            id="a lock of the workflow is there at once",
        ),
        pytest.param(
            wf(a={}, b={"startDelay": "5m", **on("a")}),
            {},
            {},
            {"a": (0, 60), "b": (360, 420)},
            ["a", "b"],
            id="a flow starts later than its dependencies are met",
        ),
    ],
)
def test_locks_and_delays(
    workflow: Workflow,
    config_maps: dict[str, dict[str, str]],
    assumed: dict[str, Any],
    expected: dict[str, tuple[float, float]],
    critical: list[str],
) -> None:
    found = run(workflow, config_maps, **assumed)
    assert spans(found) == expected
    assert path(found) == critical
    assert found.phase == "Succeeded"


def test_a_semaphore_without_places_is_waited_for_for_ever() -> None:
    found = run(wf(a=limited("db")), {"limits": {"db": "0"}})
    assert (found.phase, found.reason) == ("Pending", "LockHeld")
    assert found.notes[-1] == "nothing more happens: the workflow waits for ever"


def test_a_semaphore_that_nothing_takes_is_a_slip() -> None:
    with pytest.raises(AssumptionError, match="no flow takes a semaphore limits/bd"):
        run(wf(a=limited("db")), semaphores=["limits/bd=2"])


LISTING = {"outputs": [{"name": "files", "from": {"path": "status.files"}, "default": '["x", "y", "z"]'}]}


@pytest.mark.parametrize(
    ("assumed", "expected"),
    [
        pytest.param({}, ["each/0", "each/1", "each/2", "last", "list"], id="of the default of the output"),
        pytest.param({"outputs": ["list.files=[1]"]}, ["each/0", "last", "list"], id="of the value that is given"),
        pytest.param({"outputs": ["list.files=[]"]}, ["list"], id="none"),
    ],
)
def test_items_that_a_flow_finds(assumed: dict[str, Any], expected: list[str]) -> None:
    each = {"for": {"itemsFrom": "{{flows.list.outputs.files}}"}}
    found = run(wf(list=LISTING, each=each, last="each"), **assumed)
    assert sorted(spans(found)) == expected
    assert found.phase == "Succeeded"
    if "last" in expected:
        assert spans(found)["last"] == (120, 180)


def test_what_is_no_list_fails_the_flow() -> None:
    each = {"for": {"itemsFrom": "{{flows.list.outputs.files}}"}}
    found = run(wf(list=LISTING, each=each), outputs=["list.files=x"])
    assert (found.phase, found.reason) == ("Failed", "TaskFailed")


def test_each_item_may_fail_and_is_retried_by_itself() -> None:
    each = {"for": {"itemsFrom": "{{flows.list.outputs.files}}"}, "retry": {"maxRetries": 1, "interval": "10s"}}
    found = run(wf(list=LISTING, each=each), failures=["each/1:1"])
    assert spans(found)["each/1 (attempt 1)"] == (130, 190)
    assert found.phase == "Succeeded"
