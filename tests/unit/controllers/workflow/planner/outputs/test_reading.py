"""Outputs are read once, when the task succeeds, and recorded with the verdict."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.meta import Job, ObjectMeta
from pkg.controllers.workflow.planner.outputs.reading import Unreadable, read_outputs
from pkg.controllers.workflow.planner.snapshot import ObservedJob, PodMessages
from pkg.workloads.output_rules import output_rules
from tests.builders import JOBS, Bench, wf
from tests.manifests import plain
from tests.unit.controllers.workflow.planner.outputs.setups import arguments, done, output, pair, using

STATUS: dict[str, Any] = {
    "text": "t",
    "number": 0.93,
    "whole": 3,
    "yes": True,
    "list": [{"name": "x", "value": "1"}],
    "none": None,
}


def read(
    source: dict[str, Any],
    answer: PodMessages | None = None,
    *,
    room: int = 10_000,
    is_gone: bool = False,
    **fields: Any,
) -> Any:
    """What is read of one output x of a job with STATUS."""
    flow = wf(a={"outputs": [{"name": "x", "from": source, **fields}]}).spec.flows[0]
    observed = ObservedJob(JOBS, Job(ObjectMeta(name="w-a", namespace="team"), status=STATUS), 0)
    return read_outputs(output_rules(flow), observed, answer, 0, room=room, is_gone=is_gone)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        pytest.param({"path": "status.text"}, "t", id="text as it is"),
        pytest.param({"path": "status.number"}, "0.93", id="a number as JSON"),
        pytest.param({"path": "status.whole"}, "3", id="a whole number as JSON"),
        pytest.param({"path": "status.yes"}, "true", id="a boolean as JSON"),
        pytest.param({"path": "status.list"}, '[{"name":"x","value":"1"}]', id="a list as JSON"),
        pytest.param({"path": "status.list[?(@.name=='x')].value"}, "1", id="an item of a list"),
        pytest.param({"path": "metadata.name"}, "w-a", id="metadata"),
        pytest.param({"cel": "object.status.whole + 1"}, "4", id="CEL"),
        pytest.param({"cel": "object.status.list[0]"}, '{"name":"x","value":"1"}', id="CEL that gives an object"),
    ],
)
def test_a_value_is_text_or_json(source: dict[str, Any], value: str) -> None:
    assert read(source) == (("x", value),)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        pytest.param({"path": "status.gone"}, "there is no status.gone", id="a missing key"),
        pytest.param({"path": "status.text[0]"}, "status.text is a text, no list", id="into a list that is none"),
        pytest.param({"path": "status.none"}, "status.none is null", id="null"),
        pytest.param({"cel": "object.status.gone"}, 'there is no key "gone"', id="CEL over a missing key"),
        pytest.param({"cel": "object.status.none"}, "it gives null", id="CEL that gives null"),
        pytest.param({"cel": "duration(object.status.text)"}, "", id="CEL that fails"),
        pytest.param({"cel": "bytes(object.status.text)"}, "it gives BYTES", id="CEL that gives no JSON"),
    ],
)
def test_a_missing_value_fails_the_attempt_and_says_why(source: dict[str, Any], why: str) -> None:
    found = read(source)
    assert isinstance(found, Unreadable)
    assert found.reason == "OutputMissing"
    assert found.message.startswith("job w-a succeeded, but its output x is missing: ")
    assert why in found.message


def test_a_default_stands_for_a_missing_value() -> None:
    assert read({"path": "status.gone"}, default="0") == (("x", "0"),)
    assert read({"path": "status.gone"}, default="") == (("x", ""),)


def test_a_value_that_is_there_counts_over_the_default() -> None:
    assert read({"path": "status.text"}, default="0") == (("x", "t"),)


MESSAGE = {"terminationMessage": {"container": "main"}}
INTO = {"terminationMessage": {"container": "main", "path": "acc[0].v"}}


def said(text: str | None) -> PodMessages:
    asked = ("", "main")
    return PodMessages(0, {asked: text}, {}) if text is not None else PodMessages(0, {}, {asked: "nothing there"})


@pytest.mark.parametrize(
    ("source", "answer", "found"),
    [
        pytest.param(MESSAGE, None, None, id="nobody has looked: it waits"),
        pytest.param(MESSAGE, PodMessages(7, {("", "main"): "old"}), None, id="the answer is of another attempt"),
        pytest.param(MESSAGE, said("0.93"), (("x", "0.93"),), id="the whole text"),
        pytest.param(INTO, said('{"acc":[{"v":0.9}]}'), (("x", "0.9"),), id="a path into JSON"),
    ],
)
def test_a_termination_message_is_read_once_it_is_known(
    source: dict[str, Any], answer: PodMessages | None, found: Any
) -> None:
    assert read(source, answer) == found


@pytest.mark.parametrize(
    ("source", "answer", "why"),
    [
        pytest.param(MESSAGE, said(None), "nothing there", id="what was found instead"),
        pytest.param(INTO, said("0.93"), "there is no object", id="a path into something else"),
        pytest.param(INTO, said("no json"), "is no JSON", id="no JSON"),
    ],
)
def test_a_termination_message_may_lack_the_value(source: dict[str, Any], answer: PodMessages, why: str) -> None:
    found = read(source, answer)
    assert isinstance(found, Unreadable)
    assert why in found.message


def test_a_job_that_is_gone_is_not_waited_for() -> None:
    found = read(MESSAGE, is_gone=True)
    assert isinstance(found, Unreadable)
    assert found.reason == "OutputMissing"


def test_a_value_of_4_kib_fits_and_one_more_byte_does_not() -> None:
    STATUS["large"], STATUS["larger"] = "ä" * 2048, "x" * 4097
    assert read({"path": "status.large"}) == (("x", "ä" * 2048),)
    found = read({"path": "status.larger"})
    assert isinstance(found, Unreadable)
    assert (found.reason, "4,097 bytes; at most 4,096" in found.message) == ("OutputTooLarge", True)
    assert "xxx" not in found.message


def test_the_values_of_a_workflow_have_a_bound_together() -> None:
    assert read({"path": "status.text"}, room=8) == (("x", "t"),)
    found = read({"path": "status.text"}, room=7)
    assert isinstance(found, Unreadable)
    assert (found.reason, "262,144 bytes together" in found.message) == ("OutputTooLarge", True)


# With the whole planner


def test_an_output_is_recorded_with_the_verdict_and_used_by_another_flow() -> None:
    bench = pair()
    bench.say(done(x=0.93), "a")
    bench.settle()
    assert [(one.name, one.value) for one in bench.flow("a").outputs] == [("x", "0.93")]
    assert arguments(bench, "w-b") == ["0.93"]


def test_what_the_job_says_later_changes_nothing() -> None:
    bench = pair()
    bench.say(done(x="first"), "a")
    bench.settle()
    bench.say(done(x="second"), "a")
    bench.restarted()
    assert bench.flow("a").outputs[0].value == "first"


def test_a_deleted_job_and_another_controller_change_nothing() -> None:
    bench = Bench(
        wf(a={"outputs": [output()]}, b="", c={**using("{{flows.a.outputs.x}}"), "dependsOn": {"targets": ["b"]}})
    )
    bench.say(done(x="first"), "a")
    bench.settle()
    bench.hide(bench.observed("a"))
    bench.settle()
    bench.succeeds("b")
    assert arguments(bench, "w-c") == ["first"]


def test_a_missing_output_is_retried_for_its_own_reason() -> None:
    retry = {"maxRetries": 1, "interval": "0s"}
    bench = pair({"retry": {**retry, "reasons": ["OutputMissing"]}})
    bench.say(done(), "a")
    bench.settle()
    assert bench.names[:2] == ["w-a", "w-a-r1"]
    bench.say(done(x="1"), "a")
    bench.settle()
    assert (bench.phases()["a"], bench.flow("a").outputs[0].value) == ("Succeeded", "1")


def test_a_missing_output_is_not_retried_for_another_reason() -> None:
    bench = pair({"retry": {"maxRetries": 1, "interval": "0s", "reasons": ["Failed"]}})
    bench.say(done(), "a")
    bench.settle()
    assert (bench.phases(), bench.flow("a").reason) == ({"a": "Failed", "b": "Skipped"}, "OutputMissing")
    assert bench.flow("a").outputs == ()


def test_a_value_that_is_too_large_is_never_retried() -> None:
    bench = pair({"retry": {"maxRetries": 3, "interval": "0s"}})
    bench.say(done(x="y" * 5000), "a")
    bench.settle()
    assert (bench.names, bench.flow("a").reason) == (["w-a"], "OutputTooLarge")


def test_the_outputs_of_a_workflow_are_counted_over_its_flows() -> None:
    flows: dict[str, Any] = {f"f{number}": {"outputs": [output()]} for number in range(65)}
    bench = Bench(wf({"successPolicy": {"type": "Any"}}, **flows))
    bench.say(done(x="y" * 4096), *flows)
    bench.settle()
    assert list(bench.phases().values()).count("Succeeded") == 64
    assert list(bench.phases().values()).count("Failed") == 1


def test_a_service_without_its_output_is_deleted_before_the_next_attempt() -> None:
    flow = {"template": "service", "outputs": [output()], "retry": {"maxRetries": 1, "interval": "0s"}}
    bench = Bench(wf(a=flow))
    bench.is_ready("a")
    assert bench.log[-1] != "create w-a-r1" or "delete w-a" in bench.log
    assert bench.log.index("delete w-a") < bench.log.index("create w-a-r1")


def test_a_held_workflow_whose_spec_nobody_knows_reads_its_outputs_once_it_goes_on() -> None:
    bench = pair()
    flows = plain(bench.workflow.spec)["flows"]
    bench.edit_spec(flows=[{"name": "other", "template": "job"}])
    bench.restarted()
    bench.say(done(x="1"), "a")
    bench.settle()
    assert bench.flow("a").phase == "Running"
    bench.restarted()
    bench.set_spec(flows=flows)
    assert (bench.flow("a").phase, bench.flow("a").outputs[0].value) == ("Succeeded", "1")
    assert arguments(bench, "w-b") == ["1"]


def test_a_held_workflow_keeps_the_outputs_that_are_recorded() -> None:
    bench = pair()
    bench.say(done(x="1"), "a")
    bench.settle()
    bench.edit_spec(flows=[{"name": "other", "template": "job"}])
    bench.restarted()
    assert bench.flow("a").outputs[0].value == "1"
