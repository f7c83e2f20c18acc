"""An edit of the spec around the first job, perhaps with another controller, while no status is written yet.

See pkg/controllers/workflow/planner/begun.py. What follows is judged by what a person sees: the workflow is held or
goes on, no job is doubled or lost, and it can be brought to its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1 import records
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.apis.flow.v1alpha1.spec_hash import spec_hash
from pkg.apis.flow.v1alpha1.types import Restart, RetainPolicy, Shutdown, WorkflowSpec
from tests.builders import on, wf
from tests.property.controller import Controller
from tests.property.one_workflow import world_with
from tests.property.simulation import MANY
from tests.property.world import JOBS, Died, Fate, Trap

EXAMPLES = settings.default.max_examples if settings.default else 500
pytestmark = pytest.mark.timeout(3 * EXAMPLES)

SPECS: dict[str, WorkflowSpec] = {
    "one": wf(a="").spec,
    "chain": wf(a="", b=on("a"), c=on("b")).spec,
    "wide": wf(a={"for": {"replicas": 3}}, b=on("a")).spec,
    "other": wf(z="").spec,
    "more": wf(a="", b=on("a"), z="").spec,
    "retries": wf({"jobRetainPolicy": "delete"}, a={"retry": {"maxRetries": 3, "interval": "1s"}}, b=on("a")).spec,
    "deletes": wf({"jobRetainPolicy": "delete"}, a="", b=on("a")).spec,
}


@pytest.fixture(autouse=True)
def _no_logs(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    capsys.readouterr()


class Story:
    """One workflow and its controllers."""

    def __init__(self, spec: WorkflowSpec, fate: Fate, backlog: int) -> None:
        self.world = world_with(msgspec.structs.replace(wf(a=""), spec=spec), fate)
        self.world.backlog = backlog
        self.controller = self.another(0)

    def another(self, lag: int) -> Controller:
        made = Controller(self.world, lambda _flow, _path, _index: None, lag)
        made.informers.ensure(JOBS)
        return made

    def step(self) -> bool:
        """All is delivered, and one thing done, or time passes until the next; False if nothing is left."""
        self.controller.deliver_all()
        if self.controller.is_due():
            try:
                self.controller.reconcile()
            except Died:
                self.controller = self.another(0)
            return True
        due = min(filter(None, (self.world.next_due, self.controller.wake_at)), default=None)
        if due is not None:
            self.world.advance(max(due, self.world.now))
        return due is not None

    def rest(self) -> None:
        for _ in range(2000):
            if not self.step():
                return
        raise AssertionError("no rest")

    def set_spec(self, spec: WorkflowSpec, **free: Any) -> None:
        fields = {name: getattr(spec, name) for name in spec.__struct_fields__ if name not in ("shutdown", "restart")}
        self.world.set_spec(**fields, **free)

    @property
    def phase(self) -> WorkflowPhase | None:
        return self.world.workflow.status.phase


@settings(max_examples=EXAMPLES)
@given(
    before=st.sampled_from(sorted(SPECS)),
    after=st.sampled_from(sorted(SPECS)),
    fate=st.sampled_from([Fate(pends=0.5, runs=0.5), Fate(pends=0.5, runs=60.0), Fate(pends=4.0, runs=3.0)]),
    backlog=st.sampled_from([0, MANY]),
    dies=st.integers(0, 4),
    steps=st.integers(0, 8),
    seen=st.integers(0, 2),
    then=st.sampled_from(["same", "killed", "deposed", "error"]),
    lag=st.integers(0, 3),
    way=st.sampled_from(["take back", "stop", "terminate"]),
)
def test_an_edit_around_the_first_job_doubles_and_loses_none(
    before: str, after: str, fate: Fate, backlog: int, dies: int, steps: int, seen: int, then: str, lag: int, way: str
) -> None:
    old, new = SPECS[before], SPECS[after]
    story = Story(old, fate, backlog)
    if dies:  # in the first calls, such as that after the first job was made
        story.world.traps.append(Trap(dies, "die", after=True))
    for _ in range(steps):
        story.step()
    story.world.traps.clear()
    has_ended = story.phase is not None and story.phase.is_final
    made = [life.name for life in story.world.lives]
    story.set_spec(new)
    for _ in range(seen):
        story.step()
    match then:
        case "killed":
            story.controller = story.another(lag)
        case "deposed":
            story.controller.is_leader = False
            story.controller.reconcile()
            story.controller.lead()
        case "error":
            story.controller.reconciler._cleanup.drop_progress(story.world.workflow.metadata.key)
            story.controller.is_queued = True
    story.rest()
    status = story.world.workflow.status
    names = [life.name for life in story.world.lives]
    assert len(set(names)) == len(names), "a job was made twice"
    if has_ended or not made or spec_hash(old) == spec_hash(new):
        assert story.phase is WorkflowPhase.SUCCEEDED
        return
    assert records.record_of(status).spec_hash == spec_hash(old)
    assert (story.phase, status.reason) == (WorkflowPhase.SUSPENDED, "SpecChanged")
    assert names == made, "nothing is made for a workflow that is held"
    assert {life.deleted_by for life in story.world.lives} == {""}, "nothing is deleted either"
    if way == "take back":
        story.set_spec(old)
        story.rest()
        assert story.phase is WorkflowPhase.SUCCEEDED
        assert all(flow.phase is Phase.SUCCEEDED for flow in story.world.workflow.status.flows)
    else:
        story.world.set_spec(shutdown=Shutdown.STOP if way == "stop" else Shutdown.TERMINATE)
        story.rest()
        assert story.phase is not None
        assert story.phase.is_final
        assert not [life.name for life in story.world.jobs() if life.ended not in ("ok", "fail")], "a job goes on"
        ended = {(flow.name, flow.phase) for flow in story.world.workflow.status.flows}
        story.world.set_spec(shutdown=None, restart=Restart(at="again"))
        story.rest()
        # Where each flow of the edited spec has succeeded before, there may be nothing to run, and the verdict stays.
        may_be_idle = ended >= {(flow.name, Phase.SUCCEEDED) for flow in new.flows}
        assert story.phase is WorkflowPhase.SUCCEEDED or (may_be_idle and story.phase is WorkflowPhase.FAILED)
    names = [life.name for life in story.world.lives]
    assert len(set(names)) == len(names), "a job was made twice"
    if story.world.workflow.spec.job_retain_policy is RetainPolicy.DELETE:
        assert not [life for life in story.world.jobs() if life.deleted is None]
