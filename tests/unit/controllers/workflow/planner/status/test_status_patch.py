"""The status write: the shortest way from what is recorded to what is to be."""

from __future__ import annotations

import jsonpatch
import msgspec

from pkg.apis.flow.v1alpha1.types import WorkflowStatus
from pkg.controllers.workflow.planner.status.status_patch import diff
from tests.builders import Bench, mixed, wf


def test_the_patch_names_only_what_changed() -> None:
    bench = Bench(wf(a="", b="", c=""))
    bench.writes.clear()
    bench.runs("b")
    (patch,) = bench.writes
    assert {(one["op"], one["path"]) for one in patch.operations} == {
        ("replace", "/metadata/resourceVersion"),
        ("add", "/status/tasks"),
        ("replace", "/status/flows/1"),
    }


def test_the_first_write_puts_the_whole_status() -> None:
    bench = Bench(wf(a=""))
    assert [one["path"] for one in bench.writes[0].operations] == ["/metadata/resourceVersion", "/status"]


def test_equal_statuses_differ_by_nothing() -> None:
    status = mixed().status
    assert diff(status, msgspec.json.decode(msgspec.json.encode(status), type=WorkflowStatus)) == ()


def test_any_status_becomes_any_other_by_the_patch() -> None:
    bench, statuses = mixed(), []
    for change in ({"suspend": True}, {"suspend": False}, {"shutdown": "Terminate"}):
        statuses.append(bench.status)
        bench.set_spec(**change)
    statuses.append(bench.status)
    for old in statuses:
        for new in statuses:
            document = {"metadata": {}, "status": msgspec.json.decode(msgspec.json.encode(old))}
            operations = msgspec.json.decode(msgspec.json.encode(diff(old, new)))
            patched = jsonpatch.apply_patch(document, operations)
            assert msgspec.convert(patched["status"], WorkflowStatus) == new
