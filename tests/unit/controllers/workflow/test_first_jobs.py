"""Whose jobs are read first as a process begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from pkg.apis.flow.v1alpha1.types import WORKFLOWS, Workflow
from pkg.apis.meta import GVR
from pkg.controllers.engine.informer import InformerSet
from pkg.controllers.engine.owner_batches import MAX_OWNERS
from pkg.controllers.engine.reflector_options import EventHandlers, Owners
from pkg.controllers.workflow import first_jobs
from pkg.controllers.workflow.first_jobs import MAX_TASKS, in_parts
from tests.builders import http
from tests.manifests import decoded
from tests.unit.controllers.engine.scripted import Page, ScriptedClient

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
            [of(f"w{at}", "Running", 1) for at in range(MAX_OWNERS + 1)],
            [[f"w{at}" for at in range(MAX_OWNERS)], [f"w{MAX_OWNERS}"]],
            id="in requests of so many workflows at most",
        ),
    ],
)
def test_the_jobs_of_running_workflows_are_read_first(others: list[Workflow], expected: list[list[str]]) -> None:
    found = in_parts([ENDED, *others], JOBS, 7)
    assert found == tuple(Owners({f"u-{one}": f"team/{one}" for one in part}, 7) for part in expected)


class Served:
    """The Workflows that an API server has; none while it does not serve the kind."""

    def __init__(self) -> None:
        self.kinds: dict[GVR, Page] = {}
        client = ScriptedClient(served=self.kinds)
        handlers: EventHandlers[Workflow] = EventHandlers(lambda _gvr, _deltas: None)
        self.informers = InformerSet(client, None, Workflow, handlers)

    def serve(self, *workflows: Workflow) -> None:
        items = [msgspec.Raw(msgspec.json.encode({"metadata": {}} | msgspec.to_builtins(one))) for one in workflows]
        self.kinds[WORKFLOWS] = Page(items, "70")
        self.informers.retry_now(WORKFLOWS)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(first_jobs, "WAIT_SECONDS", 0.01)
    made = Served()
    yield made
    made.informers.stop()
    assert made.informers.join(5)


def test_the_workflows_are_waited_for(served: Served) -> None:
    asked: list[bool] = []

    def is_stopped() -> bool:
        asked.append(True)
        if len(asked) == 3:
            versions = [
                msgspec.structs.replace(one, metadata=msgspec.structs.replace(one.metadata, resource_version="9"))
                for one in (ENDED, of("a", "Running", 1))
            ]
            served.serve(*versions)
        return False

    assert first_jobs.first_jobs(served.informers, JOBS, is_stopped) == (Owners({"u-a": "team/a"}, 70),)


def test_the_workflows_are_not_waited_for_for_ever(served: Served) -> None:
    """The list of jobs waits meanwhile."""
    asked: list[bool] = []

    def is_stopped() -> bool:
        asked.append(True)
        return False

    assert first_jobs.first_jobs(served.informers, JOBS, is_stopped) == ()
    assert len(asked) == first_jobs.WAITS


def test_whose_process_ends_waits_for_nothing(served: Served) -> None:
    assert first_jobs.first_jobs(served.informers, JOBS, lambda: True) == ()
