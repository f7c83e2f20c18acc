"""Objects of any kind are readable, whatever their authors make of status."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.meta import GVR, Job, WholeJob


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
