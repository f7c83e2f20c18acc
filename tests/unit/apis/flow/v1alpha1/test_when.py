"""The names in a condition are found without compiling it."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.when import Names, names_in


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("outputs.train.acc == '1'", Names(outputs=(("train", "acc"),)), id="an output of a flow"),
        pytest.param("outputs['my-flow']['a.b'] == '1'", Names(outputs=(("my-flow", "a.b"),)), id="keys in brackets"),
        pytest.param("outputs.a.b[3] == outputs.a.b[index]", Names(outputs=(("a", "b"),)), id="items of one output"),
        pytest.param("has(outputs.a.b)", Names(flows=("a",)), id="has() needs the end of the flow, not the output"),
        pytest.param("has(outputs.a)", Names(flows=("a",)), id="has() of a flow"),
        pytest.param("flows.a.failed > 0 || flows['b'].phase == 'Failed'", Names(flows=("a", "b")), id="flows"),
        pytest.param("params.x == params['y-z']", Names(parameters=("x", "y-z")), id="parameters"),
        pytest.param("'flows.a' == \"outputs.b.c\"", Names(), id="texts name nothing"),
        pytest.param("index > 0 // flows.a.failed", Names(), id="a comment names nothing"),
        pytest.param("workflow.flows.a == 1", Names(workflow=("flows",)), id="a field of something else"),
        pytest.param("workflow['phase'] == workflow.uid", Names(workflow=("phase", "uid")), id="what the workflow has"),
        pytest.param(".flows.a.failed > 0", Names(flows=("a",)), id="a dot in front"),
        pytest.param("flows[params.x].failed > 0", Names(parameters=("x",)), id="a flow that is not written out"),
        pytest.param("'", Names(), id="no expression at all"),
    ],
)
def test_names(text: str, found: Names) -> None:
    assert names_in(text) == found
