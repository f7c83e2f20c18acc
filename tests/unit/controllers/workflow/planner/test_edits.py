"""Whether the spec was edited since the start."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.flow.v1alpha1 import conditions as conds
from pkg.apis.flow.v1alpha1.first_spec_hash import first_spec_hash
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.meta import Condition
from pkg.controllers.workflow.planner.edits import is_edited
from tests.builders import wf

SAME, OTHER = wf(a="").spec, wf(b="").spec


@pytest.mark.parametrize(
    ("recorded", "is_seen", "is_held", "expected"),
    [
        pytest.param("", False, False, False, id="it has not started"),
        pytest.param(spec_hash(SAME), False, False, False, id="the same spec"),
        pytest.param(spec_hash(OTHER), False, False, True, id="another spec"),
        pytest.param(spec_hash(OTHER), True, False, True, id="another spec that status has seen"),
        pytest.param(first_spec_hash(SAME), False, False, False, id="the same by the first algorithm"),
        pytest.param(first_spec_hash(OTHER), False, False, True, id="another by the first algorithm"),
        pytest.param(first_spec_hash(OTHER), True, False, False, id="another algorithm, but status has seen this spec"),
        pytest.param(first_spec_hash(OTHER), True, True, True, id="another algorithm, and status already holds it"),
        pytest.param("9:0123456789abcdef", False, False, False, id="an algorithm of the future"),
    ],
)
def test_is_edited(recorded: str, is_seen: bool, is_held: bool, expected: bool) -> None:
    workflow = wf(a="")
    seen = workflow.metadata.generation if is_seen else workflow.metadata.generation - 1
    held = (Condition(conds.SPEC_CHANGED, conds.TRUE),) if is_held else ()
    status = msgspec.structs.replace(workflow.status, spec_hash=recorded, observed_generation=seen, conditions=held)
    workflow = msgspec.structs.replace(workflow, status=status)
    assert is_edited(workflow, spec_hash(workflow.spec)) is expected
