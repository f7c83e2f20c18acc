"""`for.itemsFrom`: the number of tasks is fixed once, when the dependencies are True, and recorded before any job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.builders import COMPLETE, TEMPLATES, Bench, http, on, template, wf

WITH_ITEM = {**TEMPLATES, "job": template("job", jobSpec={"template": {"item": "{{item}}", "of": "{{replicas}}"}})}
LIST: dict[str, Any] = {"outputs": [{"name": "files", "from": {"path": "status.files"}, "default": "[]"}]}
FROM = "{{flows.list.outputs.files}}"


def each(**loop: Any) -> dict[str, Any]:
    """A flow with one task for each file, which waits for nothing else."""
    return {"for": {"itemsFrom": FROM, **loop}}


def listing(bench: Bench, files: object, *, task: str = "list") -> None:
    """The job of `list` succeeds with these files."""
    text = files if isinstance(files, str) else msgspec.json.encode(files).decode()
    bench.say({**COMPLETE, "files": text}, task)
    bench.settle()


def started(files: object, spec: dict[str, Any] | None = None, /, **flows: Any) -> Bench:
    """list succeeded with these files; `each` and others follow."""
    bench = Bench(wf(spec, list=LIST, **({"each": each()} | flows)), WITH_ITEM)
    listing(bench, files)
    return bench


def items(bench: Bench) -> dict[str, Any]:
    """What each job was rendered with, by its name."""
    found = {made.name: msgspec.json.decode(made.body)["spec"]["template"]["item"] for made in bench.made}
    return {name: item for name, item in found.items() if item != "{{item}}"}


def test_until_the_number_is_known_there_is_one_waiting_task() -> None:
    bench = Bench(wf(list=LIST, each=each(), after="each"), WITH_ITEM)
    assert (bench.tasks("each"), bench.status.progress) == (["Waiting"], "0/3")
    assert bench.names == ["w-list"]


def test_each_item_of_the_output_has_a_task() -> None:
    bench = started(["a", {"b": 1}, 3], after="each")
    assert items(bench) == {"w-each-0": "a", "w-each-1": {"b": 1}, "w-each-2": 3}
    assert [msgspec.json.decode(made.body)["spec"]["template"]["of"] for made in bench.made[1:]] == [3, 3, 3]
    assert bench.status.progress == "1/5"
    bench.succeeds("each/0", "each/1")
    assert bench.phases()["after"] == "Waiting"
    bench.succeeds("each/2")
    assert bench.names[-1] == "w-after"
    bench.succeeds("after")
    assert (bench.phase, bench.status.progress) == ("Succeeded", "5/5")


def test_the_number_is_recorded_before_the_first_job() -> None:
    bench = Bench(wf(list=LIST, each=each()), WITH_ITEM)
    bench.say({**COMPLETE, "files": '["a","b"]'}, "list")
    for _ in range(20):
        recorded = bench.memory("each").tasks
        bench.step()
        if recorded is None:
            assert "w-each-0" not in bench.names, "made before the number was recorded"
    assert (bench.memory("each").tasks, bench.names[1:]) == (2, ["w-each-0", "w-each-1"])


@pytest.mark.parametrize("at", range(8))
def test_a_crash_at_any_pass_changes_nothing(at: int) -> None:
    bench = Bench(wf(list=LIST, each=each(), after="each"), WITH_ITEM)
    bench.say({**COMPLETE, "files": '["a","b"]'}, "list")
    for _ in range(at):
        bench.step()
    bench.restarted()
    assert items(bench) == {"w-each-0": "a", "w-each-1": "b"}
    bench.succeeds("each/0", "each/1")
    bench.succeeds("after")
    assert (bench.phase, bench.status.progress) == ("Succeeded", "4/4")


def test_the_job_that_was_read_may_be_gone_or_say_something_else() -> None:
    bench = started(["a", "b"], each={**each(parallelism=1), "retry": {"maxRetries": 1, "interval": "0s"}})
    bench.say({**COMPLETE, "files": '["x","y","z"]'}, "list")
    bench.fails("each/0")
    bench.vanishes("list")
    bench.restarted()
    bench.wait(1)
    bench.succeeds("each/0")
    assert items(bench) == {"w-each-0": "a", "w-each-0-r1": "a", "w-each-1": "b"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param("nothing", "is no JSON: JSON is malformed", id="no JSON"),
        pytest.param('{"a": 1}', "is an object", id="an object"),
        pytest.param("7", "is a number", id="a number"),
    ],
)
def test_what_is_no_list_fails_the_flow(files: str, message: str) -> None:
    bench = started(files, after="each")
    flow = bench.flow("each")
    assert (flow.phase, flow.reason) == ("Failed", "RenderError")
    said = f'for.itemsFrom ({FROM}) must be a JSON list, such as ["a","b"], and {message}'
    assert said in flow.replicas[0].message
    assert (bench.phase, bench.phases()["after"]) == ("Failed", "Skipped")
    assert bench.names == ["w-list"]


def test_an_empty_list_is_one_skipped_task() -> None:
    bench = started([], after=on("each", onSkipped="Ignore"))
    assert (bench.phases()["each"], bench.flow("each").reason) == ("Skipped", "NoReplicas")
    assert bench.flow("each").replicas[0].message == "the list of for.itemsFrom is empty"
    assert bench.names == ["w-list", "w-after"]
    bench.restarted()
    bench.succeeds("after")
    assert (bench.phase, bench.status.progress) == ("Succeeded", "3/3")


def test_more_tasks_than_a_workflow_may_have_fail_the_flow() -> None:
    bench = started(list(range(9_999)), other={"for": {"replicas": 2}})
    flow = bench.flow("each")
    assert (flow.phase, flow.reason) == ("Failed", "TooManyItems")
    assert flow.replicas[0].message == (
        "for.itemsFrom gives 9,999 items: the workflow would have 10,002 tasks, and at most 10,000 are allowed. Make"
        " the list shorter, or split the workflow"
    )


def test_other_bounds_hold_for_what_comes_out() -> None:
    large = {**WITH_ITEM, "job": template("job", jobSpec={"template": {"item": "x" * 200_000}})}
    bench = Bench(wf(list=LIST, each=each()), large)
    listing(bench, list(range(6_000)))
    assert bench.flow("each").reason == "TooManyItems"
    assert "bytes of templates (tasks times bytes); at most 1,073,741,824" in bench.flow("each").replicas[0].message


def test_two_flows_may_share_a_list_and_one_may_read_what_another_hands_out() -> None:
    second = {"for": {"itemsFrom": "{{flows.each.outputs.name}}"}}
    first = {**each(), "outputs": [{"name": "name", "from": {"path": "status.name"}}]}
    bench = started(["a", "b"], each=first, twin=each(), second=second)
    assert sorted(items(bench)) == ["w-each-0", "w-each-1", "w-twin-0", "w-twin-1"]
    bench.say({**COMPLETE, "name": "A"}, "each/0")
    bench.say({**COMPLETE, "name": "B"}, "each/1")
    bench.settle()
    assert {name: item for name, item in items(bench).items() if "second" in name} == {
        "w-second-0": "A",
        "w-second-1": "B",
    }


def test_a_flow_that_can_never_run_is_skipped_as_one_task() -> None:
    bench = Bench(wf(list=LIST, each=each()), WITH_ITEM)
    bench.fails("list")
    assert (bench.tasks("each"), bench.phase) == (["Skipped"], "Failed")


def test_other_dependencies_count_too() -> None:
    bench = started(["a"], gate="", each={**each(), **on("gate")})
    assert bench.tasks("each") == ["Waiting"]
    assert bench.memory("each").tasks is None
    bench.succeeds("gate")
    assert items(bench) == {"w-each-0": "a"}


def test_the_previous_index_parallelism_and_finally() -> None:
    chained = started(["a", "b"], each=each(dependsOn={"targets": ["each"]}))
    assert items(chained) == {"w-each-0": "a"}
    chained.succeeds("each/0")
    assert items(chained) == {"w-each-0": "a", "w-each-1": "b"}
    last = started(["a", "b"], each={**each(parallelism=1), "finally": True})
    assert items(last) == {"w-each-0": "a"}


@pytest.mark.parametrize(
    ("strategy", "made"),
    [pytest.param("Any", True, id="any of them"), pytest.param("All", False, id="all of them")],
)
def test_a_phase_of_the_tasks_is_asked_of_all_that_there_are(strategy: str, made: bool) -> None:
    after = on("", strategy=strategy, probe={"taskStatusList": [{"taskName": "each", "phase": "Completed"}]})
    bench = started(["a", "b"], after=after)
    bench.succeeds("each/0")
    assert ("w-after" in bench.names) is made


def test_a_condition_is_judged_for_each_item_once_they_are_counted() -> None:
    bench = started(["a", "b", "c"], each={**each(), "when": "item != 'b' && index < replicas"})
    assert bench.tasks("each") == ["Pending", "Skipped", "Pending"]
    assert items(bench) == {"w-each-0": "a", "w-each-2": "c"}
    assert bench.flow("each").replicas[0].reason == "WhenFalse"


def test_no_message_quotes_an_item_that_an_output_gave() -> None:
    asks = {"job": template("job", jobSpec={"n": "{{item.size | int}}"})}
    bench = Bench(wf(list=LIST, each=each(), other=each()), {**WITH_ITEM, **asks})
    listing(bench, [{"size": "secret"}, {"secret": 1}])
    assert [one.message for one in bench.flow("each").replicas] == [
        "template.jobSpec.n: {{item.size | int}} is (an item), and | int takes an integer",
        "template.jobSpec.n: {{item.size}} has no value in item 1: item is an object without the key size",
    ]


def killed(bench: Bench) -> None:
    bench.restarted()


@pytest.mark.parametrize(
    "between",
    [pytest.param(lambda _: None, id="by one controller"), pytest.param(killed, id="by another one")],
)
def test_a_restart_keeps_number_and_items_of_a_flow_of_which_some_tasks_stay(between: Callable[[Bench], None]) -> None:
    bench = started(["a", "b", "c"])
    bench.succeeds("each/0", "each/2")
    bench.fails("each/1")
    between(bench)
    bench.set_spec(restart={"at": "1"})
    assert bench.tasks("each") == ["Succeeded", "Pending", "Succeeded"]
    assert items(bench)["w-each-1-r1"] == "b"
    bench.succeeds("each/1")
    assert (bench.phase, bench.status.progress) == ("Succeeded", "4/4")


@pytest.mark.parametrize(
    "files",
    [pytest.param(["x"], id="fewer"), pytest.param(["x", "y", "z"], id="more"), pytest.param([], id="none")],
)
def test_a_restart_of_the_list_reads_it_anew(files: list[str]) -> None:
    bench = started(["a", "b"])
    bench.succeeds("each/0", "each/1")
    bench.set_spec(restart={"at": "1", "flows": ["list"]})
    assert (bench.tasks("each"), bench.memory("each").tasks) == (["Waiting"], None)
    listing(bench, files)
    assert len(bench.tasks("each")) == max(1, len(files))
    assert {name: item for name, item in items(bench).items() if name.endswith("-r1")} == {
        f"w-each-{index}-r1": item for index, item in enumerate(files)
    }
    if files:
        bench.succeeds(*(f"each/{index}" for index in range(len(files))))
    assert bench.phase == "Succeeded"


def test_after_a_list_that_was_none_a_restart_reads_the_new_one() -> None:
    bench = started("nothing")
    assert bench.flow("each").reason == "RenderError"
    bench.set_spec(restart={"at": "1", "flows": ["list"]})
    listing(bench, ["a"])
    assert "a" in items(bench).values()


def test_an_edit_from_replicas_to_items_is_adopted() -> None:
    bench = Bench(wf(list=LIST, each={"for": {"replicas": 2}}), WITH_ITEM)
    listing(bench, ["a", "b", "c"])
    bench.succeeds("each/0", "each/1")
    flows = [{"name": "list", "template": "job", **LIST}, {"name": "each", "template": "job", **each()}]
    bench.set_spec(flows=flows, restart={"at": "1"})
    assert bench.tasks("each") == ["Pending"] * 3


def test_an_edit_holds_the_workflow_with_its_number_of_tasks() -> None:
    bench = started(["a", "b"])
    before = bench.workflow.spec
    bench.set_spec(jobRetainPolicy="delete")
    assert (bench.phase, bench.tasks("each")) == ("Suspended", ["Pending", "Pending"])
    bench.restarted()
    assert (bench.phase, len(bench.tasks("each"))) == ("Suspended", 2)
    bench.set_spec(jobRetainPolicy=str(before.job_retain_policy))
    bench.succeeds("each/0", "each/1")
    assert (bench.phase, bench.status.progress) == ("Succeeded", "3/3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("[1, 2]", "must be one output of another flow", id="a list"),
        pytest.param("{{flows.list.outputs.files[index]}}", "must be one output of another flow", id="an index"),
        pytest.param("{{flows.list.outputs.files | json}}", "must be one output of another flow", id="a conversion"),
        pytest.param("x{{flows.list.outputs.files}}", "must be one output of another flow", id="other text"),
        pytest.param("{{flows.lst.outputs.files}}", 'no flow is named "lst"', id="no such flow"),
        pytest.param("{{flows.list.outputs.file}}", 'flow "list" has no output "file"', id="no such output"),
        pytest.param("{{flows.each.outputs.files}}", "a flow cannot use its own output", id="its own output"),
    ],
)
def test_what_is_invalid(text: str, message: str) -> None:
    bench = Bench(wf(list=LIST, each={"for": {"itemsFrom": text}}))
    assert bench.status.reason == "Invalid"
    assert bench.status.message.startswith("spec.flows[1].for.itemsFrom")
    assert message in bench.status.message


PICKS = {
    "the value of the same index": ("{{flows.each.outputs.size[index]}}", ["w-after-0", "w-after-1", "w-after-2"], []),
    "the value of one index": ("{{flows.each.outputs.size[2]}}", ["w-after-0", "w-after-1", "w-after-2"], []),
    "the value of an index that the list does not have": (
        "{{flows.each.outputs.size[3]}}",
        [],
        ["Skipped", "Skipped", "Skipped"],
    ),
}


@pytest.mark.parametrize(("text", "made", "phases"), PICKS.values(), ids=PICKS)
def test_a_value_of_one_task_is_waited_for_while_the_number_of_tasks_is_unknown(
    text: str, made: list[str], phases: list[str]
) -> None:
    sized = {**each(), "outputs": [{"name": "size", "from": {"path": "status.size"}}]}
    after = {"for": {"replicas": 3}, "parameters": [{"name": "of", "value": text}]}
    uses = {**WITH_ITEM, "uses": template("uses", parameters=[{"name": "of"}], jobSpec={"template": "{{params.of}}"})}
    bench = Bench(wf(list=LIST, each=sized, after={"template": "uses", **after}), uses)
    assert bench.tasks("after") == ["Waiting"] * 3
    listing(bench, ["a", "b", "c"])
    for index in range(3):
        bench.say({**COMPLETE, "size": str(index)}, f"each/{index}")
    bench.settle()
    assert [name for name in bench.names if name.startswith("w-after")] == made
    assert bench.tasks("after") == (phases or ["Pending"] * 3)
    if phases:
        message = "it needs output size of each at index 3, which does not exist: each has 3 tasks"
        assert {task.message for task in bench.flow("after").replicas} == {message}


@pytest.mark.parametrize("files", [["a", "b"], ["a"], []], ids=["many items", "one item", "no items"])
def test_once_the_number_is_known_the_clocks_of_other_flows_go_on(files: list[str]) -> None:
    """A gate counts from when the service became ready: neither from the start of the controller, nor anew."""
    server = {"template": "service", "for": {"replicas": 2}}
    bench = Bench(wf(list=LIST, each=each(), server=server, gate=on(probe=http("server", failAfter="10s"))), WITH_ITEM)
    bench.wait(20)
    bench.is_ready("server/0", "server/1")
    bench.wait(5)
    listing(bench, files)
    bench.wait(4)
    assert bench.phases()["gate"] == "Waiting"
    bench.wait(2)
    assert bench.flow("gate").reason == "ProbeTimeout"


def test_a_task_that_a_restarted_run_skips_has_nothing_of_the_job_of_the_run_before() -> None:
    bench = started(["a", "b"], each=each(dependsOn={"targets": ["each"]}), slow="")
    bench.succeeds("each/0", "slow")
    bench.fails("each/1")
    bench.set_spec(restart={"at": "again", "flows": ["each", "slow"]})
    bench.fails("each/0")
    assert bench.tasks("each") == ["Failed", "Skipped"]
    bench.ledger_tells_all()
    bench.step()
    assert bench.progress is not None
    assert bench.progress.flows[1].tasks[1].current.job == ""
