"""Who waits for whom, and by what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1.edges import TemplateEdges, Wait, cycles, mentions, pod_ip_edges
from pkg.apis.flow.v1alpha1.types import Flow, WorkTemplateSpec
from tests.manifests import decoded

EVERYWHERE = decoded(
    {
        "name": "me",
        "dependsOn": {
            "targets": ["a"],
            "probe": {"httpGetList": [{"taskName": "b", "port": 1}], "tcpSocketList": [{"taskName": "c", "port": 1}]},
            "orGroups": [{"targets": ["d"], "probe": {"taskStatusList": [{"taskName": "e", "phase": "Failed"}]}}],
        },
        "for": {"replicas": 2, "dependsOn": {"targets": ["me", "f"]}},
        "patch": {"spec": {"args": ["{{flows.g.podIP}}"]}},
    },
    Flow,
)
TEMPLATE = decoded(
    {
        "gvr": {"version": "v1", "resource": "pods"},
        "jobSpec": {"x": "{{flows.h.podIP}}"},
        "metadata": {"annotations": {"y": "{{flows.i.podIP}}"}},
    },
    WorkTemplateSpec,
)


def test_pod_addresses_apart() -> None:
    assert pod_ip_edges(mentions(EVERYWHERE)) == {"g"}
    assert pod_ip_edges((*mentions(EVERYWHERE), *TemplateEdges(TEMPLATE).edges)) == {"g", "h", "i"}


def test_mentions_say_where_and_by_what() -> None:
    found = {(edge.flow, edge.path, edge.wait, edge.own_index) for edge in mentions(EVERYWHERE)}
    assert found == {
        ("a", "dependsOn.targets[0]", Wait.TARGET, False),
        ("b", "dependsOn.probe.httpGetList[0].taskName", Wait.HTTP, False),
        ("c", "dependsOn.probe.tcpSocketList[0].taskName", Wait.TCP, False),
        ("d", "dependsOn.orGroups[0].targets[0]", Wait.TARGET, False),
        ("e", "dependsOn.orGroups[0].probe.taskStatusList[0].taskName", Wait.STATUS, False),
        ("me", "for.dependsOn.targets[0]", Wait.TARGET, True),
        ("f", "for.dependsOn.targets[1]", Wait.TARGET, True),
        ("g", "patch.spec.args[0]", Wait.POD_IP, False),
    }


def test_outputs_and_conditions_are_mentions_as_well() -> None:
    flow = decoded(
        {
            "name": "me",
            "patch": {"spec": {"args": ["{{flows.a.outputs.x}} {{flows.b.outputs.y[index]}}"]}},
            "when": "flows.c.failed == 0 && outputs.d.z != '' && has(outputs.e.w)",
        },
        Flow,
    )
    assert [(edge.flow, edge.path, edge.wait, edge.output, edge.pick) for edge in mentions(flow)] == [
        ("a", "patch.spec.args[0]", Wait.OUTPUT, "x", ""),
        ("b", "patch.spec.args[0]", Wait.OUTPUT, "y", "index"),
        ("c", "when", Wait.WHEN, "", ""),
        ("e", "when", Wait.WHEN, "", ""),
        ("d", "when", Wait.OUTPUT, "z", ""),
    ]


def test_a_template_has_one_edge_per_output_that_it_uses() -> None:
    spec = {"x": ["{{flows.a.outputs.x}}", "{{ flows.a.outputs.x | int }}", "{{flows.a.outputs.y}}"]}
    template = decoded({"gvr": {"version": "v1", "resource": "pods"}, "jobSpec": spec}, WorkTemplateSpec)
    found = TemplateEdges(template)
    assert [(edge.flow, edge.output) for edge in found.edges] == [("a", "x"), ("a", "y")]
    assert found.flows == {"a"}


def test_mentions_in_a_template_are_pod_addresses() -> None:
    found = {(edge.flow, edge.path) for edge in TemplateEdges(TEMPLATE).edges}
    assert found == {("h", "template.jobSpec.x"), ("i", "template.metadata.annotations.y")}


class _Counted(dict[str, list[str]]):
    """Edges that count how often they are followed."""

    followed = 0

    def __getitem__(self, name: str) -> Any:
        def follow() -> Iterator[str]:
            for other in self.get(name, []):
                self.followed += 1
                yield other

        return follow()


@pytest.mark.parametrize(
    "waits",
    [
        pytest.param(
            {
                f"{layer}-{at}": [f"{layer - 1}-{other}" for other in range(3) if layer]
                for layer in range(20)
                for at in "012"
            },
            id="layers that wait for all of the layer before",
        ),
        pytest.param(
            {str(at): [str(at ^ 1), str(at + 2)] for at in range(4_000)}, id="a chain of pairs that wait for each other"
        ),
        pytest.param({str(at): [str((at + 1) % 4_000)] for at in range(4_000)}, id="one long cycle"),
    ],
)
def test_each_edge_is_followed_twice_at_most(waits: dict[str, list[str]]) -> None:
    counted = _Counted(waits)
    cycles(counted)
    assert counted.followed <= 2 * sum(map(len, waits.values()))


GRAPHS = st.integers(1, 9).flatmap(
    lambda size: st.lists(st.sets(st.integers(0, size - 1), max_size=size), min_size=size, max_size=size)
)


@settings(max_examples=100, deadline=None)
@given(GRAPHS)
def test_cycles_are_real_and_none_is_missed(graph: list[set[int]]) -> None:
    waits = {str(at): [str(other) for other in sorted(others)] for at, others in enumerate(graph)}
    found = cycles(waits)
    for cycle in found:
        for name, following in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert following in waits[name]
    reached = {name: _reach(name, waits) for name in waits}
    knots = {frozenset(o for o in reached[n] if n in reached[o]) for n in waits if n in reached[n]}
    assert len(found) == len(knots)
    assert all(any(set(cycle) <= knot for knot in knots) for cycle in found)


def _reach(name: str, waits: dict[str, list[str]]) -> set[str]:
    seen: set[str] = set()
    todo = list(waits[name])
    while todo:
        other = todo.pop()
        if other not in seen:
            seen.add(other)
            todo.extend(waits[other])
    return seen
