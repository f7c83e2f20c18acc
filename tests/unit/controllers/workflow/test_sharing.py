"""A new copy of a Workflow takes over from the old one what is equal, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.records import NOTHING
from pkg.apis.flow.v1alpha1.types import FlowStatus, Workflow
from pkg.controllers.workflow.planner.progress import FlowState, Rendered
from pkg.controllers.workflow.sharing import with_recorded_flows, with_shared_parts

STATE = FlowState(tasks=(), tally={})


def copy(*, uid: str = "u", generation: int = 1, template: str = "step", **phases: str) -> Workflow:
    """A copy of a Workflow with these flows, as a watch brings it."""
    flows = [{"name": name, "template": template, "patch": {"spec": {"x": 1}}} for name in phases]
    status: dict[str, Any] = {"phase": "Running", "record": {"specHash": "2-x"}}
    status |= {"flows": [{"name": name, "phase": phase} for name, phase in phases.items()]}
    meta = {"name": "w", "namespace": "team", "uid": uid, "generation": generation}
    made: dict[str, Any] = {"metadata": meta, "spec": {"flows": flows}, "status": status}
    return msgspec.json.decode(msgspec.json.encode(made), type=Workflow)


def test_an_equal_spec_and_equal_flows_are_shared() -> None:
    old, new = copy(a="Running", b="Waiting"), copy(a="Running", b="Running")
    found = with_shared_parts(old, new)
    assert found == new
    assert found.spec is old.spec
    assert found.status.record is old.status.record
    assert [one is other for one, other in zip(old.status.flows, found.status.flows, strict=True)] == [True, False]


@pytest.mark.parametrize(
    "new",
    [
        pytest.param(copy(a="Running", generation=2, template="other"), id="that was edited"),
        pytest.param(copy(a="Running", template="other"), id="of a generation that a restored backup counts again"),
        pytest.param(copy(a="Running", uid="later"), id="of another Workflow of that name"),
        pytest.param(copy(a="Running", b="Waiting"), id="with another number of flows"),
    ],
)
def test_a_spec_is_kept_as_it_is(new: Workflow) -> None:
    found = with_shared_parts(copy(a="Running"), new)
    assert found == new
    assert found.spec is new.spec


def test_what_was_rendered_is_exchanged_for_the_equal_one_in_the_cache() -> None:
    cached = copy(a="Running", b="Waiting").status.flows
    mine = FlowStatus("a", Phase.RUNNING)
    made = (Rendered(STATE, mine, NOTHING), Rendered(STATE, FlowStatus("b", Phase.FAILED), NOTHING))
    found = with_recorded_flows(made, cached)
    assert [item is not None and item.status is flow for item, flow in zip(found, cached, strict=True)] == [True, False]
    assert found == made


@pytest.mark.parametrize("rendered", [(None,), ()], ids=["not rendered yet", "of another spec"])
def test_what_was_not_rendered_stays_so(rendered: tuple[None, ...]) -> None:
    assert with_recorded_flows(rendered, copy(a="Running").status.flows) == rendered
