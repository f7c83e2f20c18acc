"""A spec that is edited after the end: it changes nothing by itself, and the next restart adopts it.

Each case is seen by the controller that runs, made while none runs, or seen by one that is killed at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from tests.builders import Bench, on, wf
from tests.manifests import plain

Edit = Callable[..., None]


def seen(bench: Bench, **fields: Any) -> None:
    bench.set_spec(**fields)


def while_down(bench: Bench, **fields: Any) -> None:
    bench.edit_spec(**fields)
    bench.restarted()


def killed_at_once(bench: Bench, **fields: Any) -> None:
    bench.edit_spec(**fields)
    bench.step()
    bench.restarted()


BY = pytest.mark.parametrize(
    "edit",
    [
        pytest.param(seen, id="seen"),
        pytest.param(while_down, id="while down"),
        pytest.param(killed_at_once, id="seen, and killed at once"),
    ],
)


def flows(bench: Bench, **changes: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The flows of the spec: changed, added, or (None) removed."""
    found = {flow["name"]: flow for flow in plain(bench.workflow.spec)["flows"]}
    for name, change in changes.items():
        if change is None:
            del found[name]
        else:
            found[name] = {"name": name, "template": "job", **found.get(name, {}), **change}
    return list(found.values())


def failed(spec: dict[str, Any] | None = None, /, **more: Any) -> Bench:
    """ok succeeded, bad failed, after was skipped."""
    bench = Bench(wf(spec, ok="", bad="ok", after="bad", **more))
    bench.succeeds("ok")
    bench.fails("bad")
    assert (bench.phase, bench.status.reason) == ("Failed", "TaskFailed")
    return bench


def succeeded(spec: dict[str, Any] | None = None, /, **more: Any) -> Bench:
    bench = Bench(wf(spec, ok="", **more))
    bench.succeeds(*(name for name, phase in bench.phases().items() if phase == "Pending"))
    assert bench.phase == "Succeeded"
    return bench


@BY
def test_an_edit_changes_nothing_by_itself_and_one_event_says_so(edit: Edit) -> None:
    bench = failed()
    bench.events.clear()
    before = bench.status
    edit(bench, flows=flows(bench, bad=None, new={}), jobRetainPolicy="delete")
    bench.wait(1000)
    bench.restarted()
    after = msgspec.structs.replace(bench.status, observed_generation=before.observed_generation)
    assert (after, bench.told, bench.living) == (before, ["SpecChanged"], {"w-ok", "w-bad"})
    assert "takes effect at the next restart" in bench.events[0].message


@BY
@pytest.mark.parametrize("steps", [1, 2], ids=["in one edit", "in two"])
def test_the_commonest_repair(edit: Edit, steps: int) -> None:
    bench = failed()
    repaired = flows(bench, bad={"patch": {"metadata": {"annotations": {"repaired": "yes"}}}})
    if steps == 1:
        edit(bench, flows=repaired, restart={"at": "1"})
    else:
        edit(bench, flows=repaired)
        assert (bench.phase, bench.status.reason) == ("Failed", "TaskFailed")
        edit(bench, restart={"at": "1"})
    assert bench.phases() == {"ok": "Succeeded", "bad": "Pending", "after": "Waiting"}
    assert b'"repaired":"yes"' in bench.made[-1].body
    assert bench.record.spec_hash == spec_hash(bench.workflow.spec)
    bench.succeeds("bad")
    bench.succeeds("after")
    assert (bench.phase, bench.names) == ("Succeeded", ["w-ok", "w-bad", "w-bad-r1", "w-after"])


def test_the_hash_is_recorded_in_the_same_write_as_the_reset() -> None:
    bench = failed()
    bench.edit_spec(queueName="q", restart={"at": "1"})
    made = bench.step()
    assert made.patch is not None
    paths = {operation["path"] for operation in made.patch.operations}
    assert any("estartedAt" in path or path == "/status/record" for path in paths)
    assert (bench.record.restarted_at, bench.record.spec_hash) == ("1", spec_hash(bench.workflow.spec))
    bench.restarted()
    assert bench.phase == "Running", "the next controller does not take the adopted spec for an edit"


@BY
def test_a_new_flow_runs_after_a_failure(edit: Edit) -> None:
    bench = failed()
    edit(bench, flows=flows(bench, new={}), restart={"at": "1"})
    assert bench.phases() == {"ok": "Succeeded", "bad": "Pending", "after": "Waiting", "new": "Pending"}
    assert bench.names == ["w-ok", "w-bad", "w-bad-r1", "w-new"]


@BY
@pytest.mark.parametrize(
    "policy",
    [{"type": "All"}, {"type": "Any"}, {"type": "Critical", "criticalFlows": ["ok"], "remaining": "Cancel"}],
    ids=["All", "Any", "Critical"],
)
def test_a_new_flow_runs_after_a_success(edit: Edit, policy: dict[str, Any]) -> None:
    bench = succeeded({"successPolicy": policy})
    edit(bench, flows=flows(bench, new={}, last=on("new")), restart={"at": "1"})
    assert (bench.phase, bench.names) == ("Running", ["w-ok", "w-new"])
    bench.restarted()
    bench.succeeds("new")
    bench.succeeds("last")
    assert (bench.phase, bench.names) == ("Succeeded", ["w-ok", "w-new", "w-last"])


@BY
def test_so_do_new_indexes(edit: Edit) -> None:
    bench = Bench(wf(many={"for": {"replicas": 2}}))
    bench.succeeds("many/0", "many/1")
    assert bench.phase == "Succeeded"
    edit(bench, flows=flows(bench, many={"for": {"replicas": 4}}), restart={"at": "1"})
    assert bench.names == ["w-many-0", "w-many-1", "w-many-2", "w-many-3"]
    assert bench.status.flows[0].succeeded == "0-1"
    bench.restarted()
    bench.succeeds("many/2", "many/3")
    assert (bench.phase, bench.status.tasks.total) == ("Succeeded", 4)


@BY
def test_indexes_that_are_gone_leave_status_and_come_back_above_their_attempts(edit: Edit) -> None:
    bench = Bench(wf(many={"for": {"replicas": 3}}))
    bench.succeeds("many/0", "many/1", "many/2")
    edit(bench, flows=flows(bench, many={"for": {"replicas": 1}}), restart={"at": "1"})
    assert (bench.phase, bench.status.flows[0].succeeded, bench.status.tasks.total) == ("Succeeded", "0", 1)
    assert bench.living == {"w-many-0", "w-many-1", "w-many-2"}
    edit(bench, flows=flows(bench, many={"for": {"replicas": 2}}), restart={"at": "2"})
    assert bench.names[3:] == ["w-many-1-r1"]


@BY
def test_the_first_index_of_a_flow_that_had_none_runs(edit: Edit) -> None:
    bench = succeeded(many={"for": {"replicas": 0}})
    edit(bench, flows=flows(bench, many={"for": {"replicas": 1}}), restart={"at": "1"})
    assert bench.names == ["w-ok", "w-many-0"]


@BY
def test_a_flow_that_gets_an_index_is_another_one(edit: Edit) -> None:
    bench = succeeded(many={})
    edit(bench, flows=flows(bench, many={"for": {"replicas": 2}}), restart={"at": "1"})
    assert bench.names[2:] == ["w-many-0-r1", "w-many-1-r1"]
    bench.succeeds("many/0", "many/1")
    assert bench.phase == "Succeeded"


@BY
@pytest.mark.parametrize("policy", ["retain", "delete-on-success", "delete"])
def test_a_flow_that_is_gone_leaves_status_and_its_jobs_follow_the_policy(edit: Edit, policy: str) -> None:
    bench = failed()
    edit(bench, flows=flows(bench, bad=None, after=on("ok")), jobRetainPolicy=policy, restart={"at": "1"})
    assert bench.phases() == {"ok": "Succeeded", "after": "Pending"}
    assert bench.living == {"w-ok", "w-bad", "w-after"}
    bench.succeeds("after")
    assert bench.phase == "Succeeded"
    assert bench.living == ({"w-ok", "w-bad", "w-after"} if policy == "retain" else set())


@BY
def test_the_policy_of_the_spec_in_force_acts_where_an_edit_changed_it_before_the_end(edit: Edit) -> None:
    bench = Bench(wf({"jobRetainPolicy": "delete"}, ok=""))
    edit(bench, jobRetainPolicy="retain")
    edit(bench, shutdown="Stop")
    bench.succeeds("ok")
    assert (bench.phase, bench.living) == ("Failed", set())


@BY
def test_the_kind_of_a_flow_that_is_gone_stays_recorded_so_that_its_jobs_are_found(edit: Edit) -> None:
    bench = succeeded(other={"template": "widget"})
    edit(bench, flows=flows(bench, other=None), restart={"at": "1"})
    record = records.record_of(bench.status)
    assert [(kind.gvr, kind.flows) for kind in record.kinds] == [("jobs.v1.batch", "0"), ("widgets.v1.example.com", "")]


@BY
def test_its_ready_service_is_deleted(edit: Edit) -> None:
    bench = Bench(wf(serve={"template": "service"}, other={"template": "service"}, bad="serve"))
    bench.is_ready("serve", "other")
    bench.fails("bad")
    assert bench.living == {"w-serve", "w-other", "w-bad"}
    edit(bench, flows=flows(bench, serve=None, bad=on()), restart={"at": "1"})
    assert bench.living == {"w-other", "w-bad", "w-bad-r1"}


@BY
def test_so_is_that_of_an_index_that_is_gone(edit: Edit) -> None:
    bench = Bench(wf(serve={"template": "service", "for": {"replicas": 2}}))
    bench.is_ready("serve/0", "serve/1")
    assert bench.phase == "Succeeded"
    edit(bench, flows=flows(bench, serve={"for": {"replicas": 1}}), restart={"at": "1"})
    assert (bench.phase, bench.living) == ("Succeeded", {"w-serve-0"})


@BY
def test_a_renamed_flow_runs_under_its_new_name(edit: Edit) -> None:
    bench = failed()
    edit(bench, flows=flows(bench, bad=None, better=on("ok"), after=on("better")), restart={"at": "1"})
    assert bench.phases() == {"ok": "Succeeded", "after": "Waiting", "better": "Pending"}


@BY
def test_a_flow_that_comes_back_begins_above_the_attempts_found(edit: Edit) -> None:
    bench = failed()
    edit(bench, flows=flows(bench, bad=None, after=on("ok")), restart={"at": "1"})
    bench.succeeds("after")
    edit(bench, flows=flows(bench, bad=on()), restart={"at": "2"})
    assert (bench.phase, bench.names[-1]) == ("Running", "w-bad-r1")
    bench.succeeds("bad")
    assert bench.phase == "Succeeded"


@BY
def test_another_depends_on_counts_for_what_runs_again(edit: Edit) -> None:
    bench = failed()
    edit(bench, flows=flows(bench, after=on("ok")), restart={"at": "1"})
    assert bench.phases() == {"ok": "Succeeded", "bad": "Pending", "after": "Pending"}


@BY
def test_finally_flows_run_again_after_what_is_new(edit: Edit) -> None:
    bench = Bench(wf(ok="", clean={"finally": True}))
    bench.succeeds("ok")
    bench.succeeds("clean")
    edit(bench, flows=flows(bench, new={}), restart={"at": "1"})
    assert bench.phases() == {"ok": "Succeeded", "clean": "Waiting", "new": "Pending"}


@BY
def test_one_that_can_never_run_is_refused_and_the_verdict_stays(edit: Edit) -> None:
    bench = failed()
    edit(bench, flows=flows(bench, bad=on("nobody")), restart={"at": "1"})
    assert (bench.phase, bench.status.reason, bench.told[-1]) == ("Failed", "TaskFailed", "RestartRefused")
    assert 'no flow is named "nobody"' in bench.events[-1].message
    assert bench.record.restarted_at == ""
    edit(bench, flows=flows(bench, bad=on("ok")))
    assert (bench.phase, bench.record.restarted_at) == ("Running", "1"), "the same token acts once it is corrected"


@BY
def test_a_workflow_that_was_never_valid_runs_once_it_is_corrected(edit: Edit) -> None:
    bench = Bench(wf(a="nobody"))
    assert (bench.phase, bench.status.reason) == ("Failed", "Invalid")
    edit(bench, flows=[{"name": "a", "template": "job"}], restart={"at": "1"})
    assert (bench.phase, bench.status.reason, bench.names) == ("Running", "", ["w-a"])


def test_where_nothing_runs_again_the_edit_is_adopted_all_the_same() -> None:
    bench = succeeded()
    bench.set_spec(flows=flows(bench, ok={"timeout": "1h"}), restart={"at": "1"})
    assert (bench.phase, bench.told[-1], bench.record.restarted_at) == ("Succeeded", "RestartIdle", "1")
    assert bench.record.spec_hash == spec_hash(bench.workflow.spec)


def test_where_nothing_runs_again_the_adopted_retain_policy_removes_the_jobs() -> None:
    bench = succeeded()
    assert bench.living == {"w-ok"}
    bench.edit_spec(jobRetainPolicy="delete", restart={"at": "1"})
    made = bench.step()
    assert (bench.told[-1], made.requeue_now) == ("RestartIdle", True), "nothing else would requeue it"
    bench.settle()
    assert bench.living == set()


def test_a_restart_waits_for_the_caches_that_show_the_attempts_of_a_new_flow() -> None:
    bench = succeeded()
    bench.edit_spec(flows=flows(bench, new={}), restart={"at": "1"})
    seen = bench.observe(awaited=frozenset(bench.synced), synced=frozenset())
    from pkg.controllers.workflow.planner.plan import plan

    made = plan(seen)
    assert not made.is_new_run
    assert bench.settle().patch is None
    assert bench.names == ["w-ok", "w-new"]
