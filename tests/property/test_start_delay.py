"""startDelay in any life: nobody starts before the delay is over, nor later, whatever ends a controller meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.controllers.workflow.planner.progress import TaskKey
from tests.builders import COMPLETE, FAILED, Bench, on, wf

EXAMPLES: Final = settings().max_examples // 5
pytestmark = pytest.mark.timeout(max(300, EXAMPLES))
RETRY: Final = {"maxRetries": 3, "interval": "1s", "factor": 1}
DELAYS: Final = {"b": 5.0, "c": 3.0, "d": 7.0, "e": 4.0}
TARGETS: Final = {"b": ("a",), "c": ("a",), "d": ("b", "c"), "e": ()}
FLOWS: Final[dict[str, Any]] = {
    "a": {"retry": RETRY},
    **{
        name: {**on(" ".join(TARGETS[name])), "startDelay": f"{delay:.0f}s", "retry": RETRY}
        for name, delay in DELAYS.items()
    },
}
FLOWS["c"]["for"] = {"replicas": 3}
ACTS: Final = st.one_of(
    st.sampled_from([0.5, 1.0, 2.0, 4.0]),
    st.sampled_from(["crash", "succeed", "succeed", "fail", "suspend", "lose writes"]),
)


@dataclass
class Life:
    """A workflow, and when its dependencies were met: at the earliest, and as status knows it at the latest."""

    bench: Bench = field(default_factory=lambda: Bench(wf(**FLOWS), settle=False))
    finished: dict[TaskKey, float] = field(default_factory=dict)
    known: dict[str, float] = field(default_factory=dict)
    made: dict[TaskKey, float] = field(default_factory=dict)
    is_suspended: bool = False

    def __post_init__(self) -> None:
        self.began = self.bench.now

    def act(self, what: str | float, which: int) -> None:
        bench = self.bench
        if isinstance(what, float):
            bench.now += what
        elif what == "crash":
            bench.crash()
        elif what == "suspend":
            self.is_suspended = not self.is_suspended
            bench.edit_spec(suspend=self.is_suspended)
        elif what == "lose writes":
            bench.loses_writes = not bench.loses_writes
        elif running := [key for key in self.made if key not in self.finished]:
            self._ends(running[which % len(running)], what)
        self.look()

    def _ends(self, key: TaskKey, what: str) -> None:
        newest = self.bench.observed(f"{key.flow}/{key.index}")
        if newest.job.status:
            return  # its end was said, and the next attempt is not made yet
        if what == "fail" and newest.attempt < 3:
            self.bench.say(FAILED, f"{key.flow}/{key.index}")
            return
        self.bench.say(COMPLETE, f"{key.flow}/{key.index}")
        self.finished[key] = self.bench.now

    def look(self) -> None:
        """One controller looks until nothing is left to do; without its writes it looks but once."""
        bench, before = self.bench, len(self.bench.made)
        (bench.step if bench.loses_writes else bench.settle)()
        for creation in bench.made[before:]:
            if creation.attempt == 0:
                self.made.setdefault(creation.task, bench.now)
        if not bench.loses_writes:
            for name in DELAYS:
                if self.met(name) is not None:
                    self.known.setdefault(name, bench.now)
        self.check()

    def met(self, name: str) -> float | None:
        """When the dependencies of a flow were met; None if they are not."""
        ends = [self.finished.get(key) for target in TARGETS[name] for key in tasks(target)]
        if any(end is None for end in ends):
            return None
        return max((end for end in ends if end is not None), default=self.began)

    def check(self) -> None:
        for name, delay in DELAYS.items():
            met = self.met(name)
            for key in tasks(name):
                if (at := self.made.get(key)) is not None:
                    assert met is not None, f"{key} began before its dependencies were met"
                    assert at >= met + delay, f"{key} began {at - met} s after its dependencies were met"
                elif name in self.known and not self.is_suspended and not self.bench.loses_writes:
                    assert self.bench.now < self.known[name] + delay, f"{key} has not begun, its delay is over"


def tasks(flow: str) -> list[TaskKey]:
    return [TaskKey(flow, index) for index in range(3 if flow == "c" else 1)]


@settings(max_examples=EXAMPLES)
@given(st.lists(st.tuples(ACTS, st.integers(0, 5)), min_size=10, max_size=50))
def test_nobody_starts_before_its_delay_is_over_nor_long_after(acts: list[tuple[str | float, int]]) -> None:
    life = Life()
    life.look()
    for what, which in acts:
        life.act(what, which)
    life.bench.loses_writes, life.is_suspended = False, False
    life.bench.edit_spec(suspend=False)
    for _round in range(12):
        life.act(4.0, 0)
        for _ in life.made:
            life.act("succeed", 0)
    assert life.bench.status.phase == "Succeeded"
    assert len(life.made) == 7
