"""How the lines of logs begin."""

from __future__ import annotations

import pytest

from pkg.cli.log_printer import others, prefixes, shown_containers
from pkg.views.pods import PodOf
from tests.unit.views.test_pods import pod


def of(index: int, name: str, *containers: str) -> PodOf:
    return PodOf("train", index, 0, pod(name, *(containers or ("main",))))


@pytest.mark.parametrize(
    ("pods", "one_task", "containers", "expected"),
    [
        pytest.param([of(0, "a")], True, False, "", id="one pod"),
        pytest.param([of(0, "a")], False, False, "", id="one pod of a flow with one replica"),
        pytest.param([], True, False, "", id="a task that is followed before it has a pod"),
        pytest.param([], False, False, "[train/0]", id="a flow that is followed before it has pods"),
        pytest.param([of(0, "a"), of(1, "b")], False, False, "[train/0]", id="several tasks"),
        pytest.param([of(0, "a"), of(0, "b")], True, False, "[train/0 a]", id="several pods of a task"),
        pytest.param([of(0, "a")], True, True, "[train/0 main]", id="several containers"),
    ],
)
def test_prefix(pods: list[PodOf], one_task: bool, containers: bool, expected: str) -> None:
    prefix = prefixes(pods, lambda one: f"{one.flow}/{one.index}", one_task=one_task, containers=containers)
    assert prefix(of(0, "a"), "main") == expected


def test_which_containers_are_shown() -> None:
    one = of(0, "a", "main", "side")
    assert shown_containers(one, "", all_containers=False) == ("main",)
    assert shown_containers(one, "", all_containers=True) == ("main", "side")
    assert shown_containers(one, "side", all_containers=True) == ("side",)
    assert others([one, of(1, "b", "main", "proxy")]) == ("side", "proxy")
