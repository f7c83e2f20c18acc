"""Objects of any kind are readable, whatever their authors make of status."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.meta import GVR, Job, ObjectMeta, WholeJob


@pytest.mark.parametrize("read_as", [Job, WholeJob])
@pytest.mark.parametrize("status", [None, "Done", 3, True, ["Done"]])
def test_a_status_that_is_no_map_reads_as_empty(read_as: type[Job], status: Any) -> None:
    raw = {"metadata": {"name": "a"}, "spec": {"replicas": 2}, "status": status}
    found = msgspec.json.decode(msgspec.json.encode(raw), type=read_as)
    assert (found.status, found.spec.replicas) == ({}, 2)


@pytest.mark.parametrize("read_as", [Job, WholeJob])
def test_a_status_is_kept_as_it_came(read_as: type[Job]) -> None:
    status = {"phase": "Running", "parts": [{"a": None}]}
    found = msgspec.json.decode(msgspec.json.encode({"metadata": {}, "status": status}), type=read_as)
    assert found.status == status
    assert msgspec.json.decode(b'{"metadata": {}}', type=read_as).status == {}


@pytest.mark.parametrize(
    ("gvr", "name"),
    [
        pytest.param(GVR("batch", "v1", "jobs"), "jobs.batch", id="with its group"),
        pytest.param(GVR("", "v1", "pods"), "pods", id="the core group has no name"),
    ],
)
def test_the_name_of_a_resource(gvr: GVR, name: str) -> None:
    assert gvr.group_resource == name


def test_a_thousand_labels_and_so_on_are_kept_and_those_that_are_looked_for() -> None:
    many = {f"a{number}": "" for number in range(5_000)}
    raw = {
        "labels": {**many, "flow.workflow.sh/flow": "a"},
        "annotations": {**many, "flow.workflow.sh/depth": "1"},
        "finalizers": [*(f"x/{number}" for number in range(5_000)), "orphan"],
        "ownerReferences": [*({"uid": str(number)} for number in range(5_000)), {"uid": "u", "controller": True}],
    }
    meta = msgspec.json.decode(msgspec.json.encode(raw), type=ObjectMeta)
    assert {len(meta.labels), len(meta.annotations), len(meta.finalizers), len(meta.owner_references)} == {1_001}
    assert (meta.labels["flow.workflow.sh/flow"], meta.annotations["flow.workflow.sh/depth"]) == ("a", "1")
    assert meta.finalizers[-1] == "orphan"
    assert meta.controller is not None
    assert len(msgspec.json.encode(raw)) - 5_000 < meta.left_out + len(msgspec.json.encode(meta))


def test_usual_metadata_is_kept_whole() -> None:
    meta = ObjectMeta(name="a", labels={"x": "y"}, finalizers=("f/x",))
    assert (meta.labels, meta.finalizers, meta.left_out) == ({"x": "y"}, ("f/x",), 0)
    assert msgspec.json.decode(msgspec.json.encode(meta)) == {"name": "a", "labels": {"x": "y"}, "finalizers": ["f/x"]}


def test_objects_share_the_texts_and_empty_parts_that_they_have_in_common() -> None:
    """There are tens of thousands of jobs: these parts would take half of their memory."""
    owner = {"apiVersion": "a/v1", "kind": "Workflow", "name": "owner-of-many", "uid": "u-u", "controller": True}
    meta = {"namespace": "some-team", "labels": {"team": "some-value"}, "ownerReferences": [owner]}
    raw = msgspec.json.encode({"apiVersion": "x.io/v1", "kind": "Thing-a-Thing", "metadata": meta})
    one, other = (msgspec.json.decode(raw, type=Job) for _ in range(2))
    assert one == other

    def parts(job: Job) -> list[object]:
        meta = job.metadata
        (owner,) = meta.owner_references
        texts = [meta.namespace, *meta.labels.values(), owner.api_version, owner.kind, owner.name, owner.uid]
        return [*texts, job.api_version, job.kind, job.spec, meta.annotations]

    assert [mine is yours for mine, yours in zip(parts(one), parts(other), strict=True)] == [True] * 10
