"""Whose jobs are read first as a process begins."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.apis.meta import GVR
from pkg.controllers.engine.reflector_options import Part
from pkg.controllers.workflow.first_jobs import MAX_TASKS, MAX_WORKFLOWS, parts_of
from tests.builders import http
from tests.manifests import decoded

JOBS = GVR("batch", "v1", "jobs")
KIND = {"kinds": [{"gvr": "jobs.v1.batch"}]}


def of(name: str, phase: str | None, total: int, record: dict[str, Any] | None = KIND, **flow: Any) -> Workflow:
    status = {"tasks": {"total": total}, "record": record} | ({"phase": phase} if phase is not None else {})
    return decoded(
        {
            "metadata": {"name": name, "namespace": "team", "uid": f"u-{name}"},
            "spec": {"flows": [{"name": "f", "template": "job", **flow}]},
            "status": status,
        },
        Workflow,
    )


ENDED = of("ended", "Succeeded", 100_000)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param([of("a", "Running", 3), of("b", "Suspended", 2)], [["a", "b"]], id="those that run"),
        pytest.param([of("a", "Failed", 3), of("b", None, 0)], [], id="none that has ended or not begun"),
        pytest.param([of("a", "Running", 3, {"kinds": [{"gvr": "pods.v1"}]})], [], id="none of another kind"),
        pytest.param([of("a", "Running", MAX_TASKS + 1), of("b", "Running", 1)], [["b"]], id="none that is large"),
        pytest.param(
            [of("a", "Running", 1, timeout="5s"), of("b", "Running", 1, pendingTimeout="5s"), of("c", "Running", 1)],
            [["c"]],
            id="none that fails by time",
        ),
        pytest.param(
            [of("a", "Running", 1, dependsOn={"probe": http("s", failAfter="5s")}), of("c", "Running", 1)],
            [["c"]],
            id="none that probes",
        ),
        pytest.param([of("a", "Running", 150_000)], [], id="nobody, where most jobs are of those that run"),
        pytest.param(
            [of("a", "Running", MAX_TASKS - 1), of("b", "Running", 1), of("c", "Running", 1)],
            [["a", "b"], ["c"]],
            id="in requests of so many tasks at most",
        ),
        pytest.param(
            [of(f"w{at}", "Running", 1) for at in range(MAX_WORKFLOWS + 1)],
            [[f"w{at}" for at in range(MAX_WORKFLOWS)], [f"w{MAX_WORKFLOWS}"]],
            id="in requests of so many workflows at most",
        ),
    ],
)
def test_the_jobs_of_running_workflows_are_read_first(others: list[Workflow], expected: list[list[str]]) -> None:
    found = parts_of([ENDED, *others], JOBS, 7)
    assert [list(part.owners.values()) for part in found] == [[f"team/{one}" for one in part] for part in expected]
    assert [part.resource_version for part in found] == ["7"] * len(expected)


def test_a_part_selects_by_the_label_that_the_jobs_have() -> None:
    [part] = parts_of([ENDED, of("a", "Running", 1), of("b", "Running", 1)], JOBS, 7)
    selector = "flow.workflow.sh/workflow-uid in (u-a,u-b)"
    assert part == Part(selector, "7", {"u-a": "team/a", "u-b": "team/b"})
