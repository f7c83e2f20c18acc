"""Lists in merge patches: merged by the key that identifies their items, with nothing lost in silence."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.merging import MergeError, merge_object

A, B = {"name": "scratch", "mountPath": "/a"}, {"name": "scratch", "mountPath": "/b"}


@pytest.mark.parametrize(
    ("old", "patch", "merged"),
    [
        pytest.param({"volumeMounts": [A]}, {"volumeMounts": [B]}, {"volumeMounts": [A, B]}, id="mounts by mountPath"),
        pytest.param(
            {"volumeMounts": [A]},
            {"volumeMounts": [{"name": "keys", "mountPath": "/a"}]},
            {"volumeMounts": [{"name": "keys", "mountPath": "/a"}]},
            id="a mount of the same path is changed",
        ),
        pytest.param(
            {"volumeDevices": [{"name": "d", "devicePath": "/dev/a"}]},
            {"volumeDevices": [{"name": "d", "devicePath": "/dev/b"}]},
            {"volumeDevices": [{"name": "d", "devicePath": "/dev/a"}, {"name": "d", "devicePath": "/dev/b"}]},
            id="devices by devicePath",
        ),
        pytest.param(
            {"hostAliases": [{"ip": "1.1.1.1", "hostnames": ["a"]}]},
            {"hostAliases": [{"ip": "1.1.1.1", "hostnames": ["b"]}, {"ip": "2.2.2.2"}]},
            {"hostAliases": [{"ip": "1.1.1.1", "hostnames": ["b"]}, {"ip": "2.2.2.2"}]},
            id="host aliases by ip",
        ),
        pytest.param(
            {"env": [{"name": "A", "value": "1"}]},
            {"env": [{"name": "A", "value": None, "valueFrom": {}}]},
            {"env": [{"name": "A", "valueFrom": {}}]},
            id="other lists by name",
        ),
        pytest.param(
            {"ports": [{"name": "a", "port": 1}]},
            {"ports": [{"port": 2}]},
            {"ports": [{"port": 2}]},
            id="a list with an item that has no name is replaced",
        ),
        pytest.param(
            {"volumeMounts": [A]},
            {"volumeMounts": [{"name": "scratch"}]},
            {"volumeMounts": [{"name": "scratch"}]},
            id="mounts without a mountPath are replaced, not merged by name",
        ),
        pytest.param({}, {"env": [{"name": "A"}] * 2}, {"env": [{"name": "A"}] * 2}, id="a new list is taken as it is"),
        pytest.param(
            {"env": [{"name": "A"}] * 2}, {"env": []}, {"env": []}, id="an empty list empties one with equal names"
        ),
    ],
)
def test_merged(old: dict[str, Any], patch: dict[str, Any], merged: dict[str, Any]) -> None:
    assert merge_object(copy.deepcopy(old), copy.deepcopy(patch)) == merged


@pytest.mark.parametrize(
    ("old", "patch", "path", "whose"),
    [
        pytest.param({"x": [{"m": [A, A]}]}, {}, None, "", id="not while nothing is merged"),
        pytest.param({"volumeMounts": [A, A]}, {"volumeMounts": [B]}, "volumeMounts", "the template's", id="before"),
        pytest.param({"volumeMounts": [A]}, {"volumeMounts": [B, B]}, "volumeMounts", "the patch's", id="in the patch"),
        pytest.param(
            {"containers": [{"name": "main", "env": [{"name": "A"}]}]},
            {"containers": [{"name": "main", "env": [{"name": "B"}] * 2}]},
            "containers[0].env",
            "the patch's",
            id="in a list inside of a list",
        ),
    ],
)
def test_a_key_that_occurs_twice_is_an_error_that_names_the_list(
    old: dict[str, Any], patch: dict[str, Any], path: str | None, whose: str
) -> None:
    if path is None:
        assert merge_object(copy.deepcopy(old), patch) == old
        return
    with pytest.raises(MergeError, match=whose) as caught:
        merge_object(copy.deepcopy(old), copy.deepcopy(patch))
    assert caught.value.path == path
