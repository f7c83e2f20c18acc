"""`for.items`: one task for each item of the spec, which its job is rendered with; the same after restarts."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.builders import TEMPLATES, Bench, template, wf

FILES: list[Any] = ["a.csv", {"name": "b.csv", "size": 4}, 0.5]
WITH_ITEM = {**TEMPLATES, "job": template("job", jobSpec={"template": {"item": "{{item}}", "of": "{{replicas}}"}})}


def items(bench: Bench) -> dict[str, Any]:
    """What each job was rendered with, by its name."""
    return {made.name: msgspec.json.decode(made.body)["spec"]["template"]["item"] for made in bench.made}


def test_each_item_has_a_job_with_its_value() -> None:
    bench = Bench(wf(a={"for": {"items": FILES}}), WITH_ITEM)
    assert items(bench) == {"w-a-0": "a.csv", "w-a-1": {"name": "b.csv", "size": 4}, "w-a-2": 0.5}
    assert msgspec.json.decode(bench.made[0].body)["spec"]["template"]["of"] == 3
    bench.succeeds("a/0", "a/1", "a/2")
    assert (bench.phase, bench.status.progress) == ("Succeeded", "3/3")


def test_an_empty_list_is_one_skipped_task() -> None:
    bench = Bench(wf(a={"for": {"items": []}}, b="a"))
    assert (bench.phase, bench.phases()) == ("Succeeded", {"a": "Skipped", "b": "Skipped"})
    assert (bench.flow("a").reason, bench.flow("a").message) == ("NoReplicas", "index 0: for.items is an empty list")


def test_a_retry_has_the_item_of_its_index() -> None:
    bench = Bench(wf(a={"for": {"items": FILES}, "retry": {"maxRetries": 1, "interval": "0s"}}), WITH_ITEM)
    bench.fails("a/1")
    bench.wait(1)
    assert items(bench)["w-a-1-r1"] == FILES[1]


def test_parallelism_and_the_previous_index_hold_for_items() -> None:
    loop = {"items": FILES, "parallelism": 2}
    assert Bench(wf(a={"for": loop}), WITH_ITEM).names == ["w-a-0", "w-a-1"]
    chained = Bench(wf(a={"for": {"items": FILES, "dependsOn": {"targets": ["a"]}}}), WITH_ITEM)
    assert chained.names == ["w-a-0"]
    chained.succeeds("a/0")
    assert items(chained) == {"w-a-0": FILES[0], "w-a-1": FILES[1]}


def test_a_restart_adopts_items_that_were_added_and_drops_those_that_are_gone() -> None:
    bench = Bench(wf(a={"for": {"items": ["x", "y"]}}), WITH_ITEM)
    bench.succeeds("a/0")
    bench.fails("a/1")
    flow = {"name": "a", "template": "job", "for": {"items": ["x", "z", "new"]}}
    bench.set_spec(flows=[flow], restart={"at": "1"})
    assert items(bench) == {"w-a-0": "x", "w-a-1": "y", "w-a-1-r1": "z", "w-a-2-r1": "new"}
    assert bench.tasks("a") == ["Succeeded", "Pending", "Pending"]
    bench.fails("a/1")
    bench.succeeds("a/2")
    bench.set_spec(flows=[{**flow, "for": {"items": ["x"]}}], restart={"at": "2"})
    assert (bench.phase, bench.status.progress) == ("Succeeded", "1/1")


def test_other_items_are_an_edit_which_holds_a_running_workflow() -> None:
    bench = Bench(wf(a={"for": {"items": ["x"]}}), WITH_ITEM)
    bench.set_spec(flows=[{"name": "a", "template": "job", "for": {"items": ["y"]}}])
    assert (bench.phase, bench.status.reason) == ("Suspended", "SpecChanged")
    assert 'spec.flows[0].for (flow "a")' in bench.status.message


def test_an_item_that_lacks_a_key_fails_its_task_alone() -> None:
    asks = {"job": template("job", jobSpec={"x": "{{item.size}}"})}
    bench = Bench(wf(a={"for": {"items": FILES[:2]}}), asks)
    assert bench.tasks("a") == ["Failed", "Pending"]
    assert bench.flow("a").replicas[0].message == (
        "template.jobSpec.x: {{item.size}} has no value in item 0: item is a.csv, which has no keys"
    )
