"""A task that `for.itemsFrom` adds costs what a replica in the spec costs."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1 import cost
from pkg.apis.flow.v1alpha1.edges import TemplateEdges
from pkg.apis.flow.v1alpha1.growth import growths, together
from pkg.apis.flow.v1alpha1.reading import Reading
from pkg.apis.flow.v1alpha1.types import WorkflowSpec, WorkTemplateSpec
from tests.manifests import decoded

JOB = {"group": "batch", "version": "v1", "resource": "jobs"}
TEMPLATES = {"a": TemplateEdges(decoded({"gvr": JOB, "jobSpec": {"x": "y" * 50}}, WorkTemplateSpec))}
LIST: dict[str, Any] = {"name": "list", "outputs": [{"name": "files", "from": {"path": "status.files"}}]}
PROBE: dict[str, Any] = {"name": "p", "dependsOn": {"probe": {"tcpSocketList": [{"taskName": "a", "port": 1}] * 3}}}


def spec(size: int | None, flow: dict[str, Any], *others: dict[str, Any]) -> WorkflowSpec:
    """A flow `a` with so many replicas, or, for None, with the items of a list, which another flow reads too."""
    items = {"itemsFrom": "{{flows.list.outputs.files}}"}
    loop = items if size is None else {"replicas": size}
    flow = {"name": "a", **flow, "for": {**loop, **flow.get("for", {})}}
    return decoded({"flows": [LIST, {"name": "twin", "for": items}, flow, *others]}, WorkflowSpec)


@pytest.mark.parametrize("size", [0, 1, 2, 10, 5_000])
@pytest.mark.parametrize(
    ("flow", "others"),
    [
        pytest.param({}, (), id="a plain flow"),
        pytest.param({"retry": {"maxRetries": 3}}, (), id="with retries"),
        pytest.param({"patch": {"spec": {"x": "z" * 30}}}, (), id="with a merge patch"),
        pytest.param({"patch": [{"op": "remove", "path": "/spec/x"}] * 3}, (), id="with a JSON Patch"),
        pytest.param({"for": {"dependsOn": {"targets": ["a"]}}}, (), id="after the previous index"),
        pytest.param({}, (PROBE,), id="probed by others"),
    ],
)
def test_the_cost_is_that_of_replicas(size: int, flow: dict[str, Any], others: tuple[dict[str, Any], ...]) -> None:
    reading = Reading(spec(None, flow, *others), TEMPLATES)
    found = together(cost.estimate_reading(reading), growths(reading)["a"].of(size))
    expected = cost.estimate(spec(size, flow, *others), TEMPLATES)
    for name in ("probed", "previous", "patch_steps", "patch_bytes", "template_bytes", "status"):
        assert getattr(found, name) == getattr(expected, name), name


def test_without_items_from_nothing_grows() -> None:
    assert growths(Reading(decoded({"flows": [{"name": "a"}]}, WorkflowSpec))) == {}


def test_outputs_of_the_tasks_take_room_in_status() -> None:
    with_outputs = {"outputs": [{"name": "rows", "from": {"path": "status.rows"}}]}
    plain, handing = (growths(Reading(spec(None, flow), TEMPLATES))["a"] for flow in ({}, with_outputs))
    assert handing.of(1_000).status > plain.of(1_000).status + 10_000
