"""Which pods' logs are shown, and which container."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.views.pods import Pod, PodOf, choose
from tests.manifests import decoded


def pod(name: str, *containers: str, **annotations: str) -> Pod:
    meta = {"name": name, "namespace": "team", "annotations": annotations}
    return decoded({"metadata": meta, "spec": {"containers": [{"name": one} for one in containers]}}, Pod)


PODS = [
    PodOf("train", 1, 0, pod("train-1-b")),
    PodOf("train", 0, 0, pod("train-0-a")),
    PodOf("train", 0, 1, pod("train-0-r1-a")),
    PodOf("train", 1, 0, pod("train-1-a")),
    PodOf("prepare", 0, 2, pod("prepare-r2")),
]


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        pytest.param(
            {"index": None, "attempt": None},
            ["prepare-r2", "train-0-r1-a", "train-1-a", "train-1-b"],
            id="of each task the newest attempt, by flow, index and name",
        ),
        pytest.param({"index": None, "attempt": 0}, ["train-0-a", "train-1-a", "train-1-b"], id="one attempt"),
        pytest.param({"index": 0, "attempt": None}, ["prepare-r2", "train-0-r1-a"], id="one index"),
        pytest.param({"index": 7, "attempt": None}, [], id="an index without pods"),
    ],
)
def test_choose(chosen: dict[str, Any], names: list[str]) -> None:
    assert [one.pod.metadata.name for one in choose(PODS, **chosen)] == names


def test_the_default_container_comes_first() -> None:
    found = pod("p", "proxy", "main", "logger", **{"kubectl.kubernetes.io/default-container": "main"})
    assert found.containers == ("main", "proxy", "logger")
    assert pod("p", "a", "b").containers == ("a", "b")
