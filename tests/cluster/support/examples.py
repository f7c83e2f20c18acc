"""Applies the examples in a namespace of a test, and compares their end with the one that they state."""

from __future__ import annotations

from typing import Any

from tests.cluster.support.history import Object
from tests.cluster.support.world import PATIENCE, World, no_attempt_twice
from tests.unit.examples.loading import FILES, Example, load

EXAMPLES = FILES

# Jobs of all attempts together. The annotations do not contain the number of replicas, nor how often each fails.
JOBS = {
    "01-sequential": 4,
    "02-parallel-for": 9,
    "03-retry": 10,
    "04-probe-branch": 6,
    "05-multi-in-out": 9,
    "advanced": 12,
    "locks": 6,
    "outputs": 5,
    "when": 4,
}


def apply(world: World, name: str) -> Example:
    """Create what an example's file holds, in the namespace of the test."""
    example = load(name)
    world.create_all(example.documents)
    return example


def verify(world: World, name: str, example: Example, seconds: float = PATIENCE) -> None:
    """Waits for its end, then asserts the stated phases and attempts, and one job for each attempt."""
    workflow = example.workflow.metadata.name
    status = world.wait_phase(workflow, seconds=seconds)
    assert outcome(world, workflow, example.expected) == example.expected
    assert counts(status) == status["tasks"]["total"], "the counters add up"
    assert status["progress"] == f"{status['tasks']['total']}/{status['tasks']['total']}"
    uid = world.history.get("workflows", workflow)["metadata"]["uid"]  # type: ignore[index]
    made = [attempt for attempt in no_attempt_twice(world) if attempt.uid == uid]
    assert len(made) == JOBS[name]


def outcome(world: World, workflow: str, expected: Object) -> Object:
    """What happened, in the form of the annotation that states the end."""
    attempts: dict[str, Any] = world.attempts(workflow)
    return {
        "phase": world.status(workflow)["phase"],
        "flows": world.phases(workflow),
        "attempts": {name: count for name, count in attempts.items() if name in expected["attempts"] or count},
    }


def counts(status: Object) -> int:
    """The sum of the counters."""
    return sum(value for key, value in status["tasks"].items() if key != "total")
