"""Right after a start a service's job may only not be seen yet: its gates must wait for the cache, not fail."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.meta import GVR
from pkg.controllers.workflow.planner.context import Context
from pkg.controllers.workflow.planner.dependency.probes import has_ended
from pkg.controllers.workflow.planner.progress import Attempt, Task
from tests.builders import WIDGETS, compiled, draft, http, on, snapshot, template, wf

SEEN = Task(phase=Phase.SUCCEEDED, had_job=True, current=Attempt(job="w-a", ready=True))


@pytest.mark.parametrize(
    ("task", "awaited", "expected"),
    [
        pytest.param("Succeeded", frozenset({WIDGETS}), False, id="a success whose job no cache can show yet"),
        pytest.param("Succeeded", frozenset(), True, id="a success whose job is known to be gone"),
        pytest.param("Failed", frozenset({WIDGETS}), True, id="a failure, whatever the cache shows"),
        pytest.param("Running", frozenset(), False, id="a task that runs"),
        pytest.param(SEEN, frozenset(), False, id="a service that serves"),
    ],
)
def test_who_can_be_asked_no_more(task: str | Task, awaited: frozenset[GVR], expected: bool) -> None:
    templates = {"service": template("service", WIDGETS, completion="Ready"), "b": template("b")}
    workflow = wf(a={"template": "service"}, b=on(probe=http("a")))
    graph = compiled(workflow, templates)
    found = draft(graph, a=task)
    look = snapshot(workflow, graph, templates=templates, awaited=awaited)
    assert has_ended(Context(look, found), graph.nodes[0], 0, found.task(0, 0)) is expected
