"""The shapes that are measured: how many tasks, and whether each is a valid workflow."""

from __future__ import annotations

import msgspec
import pytest

from hack.bench.shapes import SHAPES, template
from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplate
from pkg.controllers.workflow.planner.graph.compile import compile_spec
from pkg.controllers.workflow.planner.graph.model import Graph


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_is_a_valid_workflow_with_templates_for_all_its_flows(name: str) -> None:
    shape = SHAPES[name]
    workflow = msgspec.json.decode(msgspec.json.encode(shape.workflow("w")), type=Workflow)
    names = {shape.template_name(flow) for flow in shape.flows}
    made = {
        own: msgspec.json.decode(msgspec.json.encode(template(shape.kind, own)), type=WorkTemplate) for own in names
    }
    graph = compile_spec(workflow.spec, made)
    assert isinstance(graph, Graph), graph
    assert shape.tasks == graph.total * shape.workflows


def test_the_shapes_have_the_sizes_that_the_table_says() -> None:
    found = {name: shape.tasks for name, shape in SHAPES.items()}
    assert found == {
        "chains": 600,
        "fans": 330,
        "layers": 400,
        "wide": 502,
        "templates": 6000,
        "dag": 5000,
        "quiet": 100,
        "jobs": 120,
        "pods": 120,
        "quiet-jobs": 100,
        "quiet-pods": 100,
    }
