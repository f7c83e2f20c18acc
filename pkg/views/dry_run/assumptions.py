"""What a dry run assumes: how long jobs take, which of them fail, when probes pass, and what is free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pkg.apis.flow.v1alpha1 import durations
from pkg.apis.flow.v1alpha1.types import Flow
from pkg.controllers.workflow.planner.progress import TaskKey

#: Seconds that a job takes if nobody says otherwise.
DEFAULT_DURATION: Final = 60.0
ALWAYS: Final = 1 << 30
NEVER: Final = "never"
_MAX_DIGITS: Final = 9


class AssumptionError(ValueError):
    """An assumption that cannot be read; the message says what would be right."""


@dataclass(frozen=True, slots=True)
class Target:
    """All tasks of a flow, or one of them."""

    flow: str
    index: int | None = None

    def __str__(self) -> str:
        return self.flow if self.index is None else f"{self.flow}/{self.index}"


@dataclass(frozen=True)
class Assumptions:
    """durations: seconds that a job takes, for a service until it is ready; failures: how many attempts of each task
    fail, from the first one; probes: seconds after the start of a job after which its pods answer, None for never;
    outputs: values by flow and name; places: how many may hold a semaphore at once, by `CONFIGMAP/KEY`.
    """

    default_duration: float = DEFAULT_DURATION
    durations: Mapping[Target, float] = field(default_factory=dict)
    failures: Mapping[Target, int] = field(default_factory=dict)
    probes: Mapping[Target, float | None] = field(default_factory=dict)
    outputs: Mapping[tuple[str, str], str] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)

    def duration(self, task: TaskKey) -> float:
        for target in _of(task):
            if target in self.durations:
                return self.durations[target]
        return self.default_duration

    def decided_after(self, task: TaskKey) -> float:
        """Seconds from when a task asks for approval until somebody decides."""
        return next((self.durations[one] for one in _of(task) if one in self.durations), 0.0)

    def fails(self, task: TaskKey, attempt: int) -> bool:
        for target in _of(task):
            if target in self.failures:
                return attempt < self.failures[target]
        return False

    def answers_after(self, task: TaskKey) -> float | None:
        """Seconds until the pods of a task answer probes; None for never."""
        for target in _of(task):
            if target in self.probes:
                return self.probes[target]
        return 0.0

    def targets(self) -> frozenset[Target]:
        """The flows and tasks that the assumptions name."""
        named = (Target(flow) for flow, _ in self.outputs)
        return frozenset((*self.durations, *self.failures, *self.probes, *named))

    def unused_outputs(self, flows: Iterable[Flow]) -> list[tuple[str, str]]:
        """Flow and name of values for outputs that no flow has."""
        known = {(flow.name, output.name) for flow in flows for output in flow.outputs}
        return sorted(self.outputs.keys() - known)


def _of(task: TaskKey) -> tuple[Target, Target]:
    """As which targets a task may be named: the task, else its flow."""
    return Target(task.flow, task.index), Target(task.flow)


def read_assumptions(
    default_duration: str = "1m",
    durations_of: Iterable[str] = (),
    failures: Iterable[str] = (),
    probes: Iterable[str] = (),
    outputs: Iterable[str] = (),
    semaphores: Iterable[str] = (),
) -> Assumptions:
    """The assumptions from texts: `FLOW[/INDEX]=5m` for durations and probes, `FLOW[/INDEX][:TIMES]` for failures,
    `FLOW.NAME=VALUE` for outputs, and `CONFIGMAP/KEY=N` for semaphores.

    Raises AssumptionError.
    """
    found_durations: dict[Target, float] = {}
    for text in durations_of:
        name, value = _pair(text, "flow=5m")
        found_durations[_target(name, text)] = _seconds(value, text)
    found_failures: dict[Target, int] = {}
    for text in failures:
        name, colon, times = text.partition(":")
        if colon and not (times.isascii() and times.isdigit() and int(times)):
            raise AssumptionError(f"{text!r}: after the colon stands how many attempts fail, such as flow:2")
        found_failures[_target(name, text)] = int(times) if colon else ALWAYS
    found_probes: dict[Target, float | None] = {}
    for text in probes:
        name, value = _pair(text, "flow=30s or flow=never")
        found_probes[_target(name, text)] = None if value == NEVER else _seconds(value, text)
    found_outputs: dict[tuple[str, str], str] = {}
    for text in outputs:
        name, value = _pair(text, "flow.accuracy=0.9")
        flow, dot, output = name.partition(".")
        if not (flow and dot and output):
            raise AssumptionError(f"{text!r}: name an output as flow.output")
        found_outputs[flow, output] = value
    found_places: dict[str, int] = {}
    for text in semaphores:
        name, value = _pair(text, "limits/databases=2")
        if not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
            raise AssumptionError(f"{text!r}: the number of places is a whole number")
        found_places[name] = int(value)
    default = _seconds(default_duration, default_duration)
    return Assumptions(default, found_durations, found_failures, found_probes, found_outputs, found_places)


def unknown_targets(assumptions: Assumptions, sizes: Mapping[str, int]) -> list[str]:
    """What is wrong with the flows and indexes that the assumptions name, a sentence each. sizes: tasks by flow."""
    found = []
    for target in sorted(assumptions.targets(), key=str):
        if target.flow not in sizes:
            found.append(f"no flow is named {target.flow!r}")
        elif target.index is not None and target.index >= sizes[target.flow]:
            found.append(f"{target}: the flow {target.flow!r} has the indexes 0 to {sizes[target.flow] - 1}")
    return found


def _pair(text: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise AssumptionError(f"{text!r}: write it like {example}")
    return name, value


def _target(name: str, text: str) -> Target:
    flow, slash, index = name.partition("/")
    if not flow or (slash and not (index.isascii() and index.isdigit())):
        raise AssumptionError(f"{text!r}: name a flow, or one of its tasks as flow/0")
    return Target(flow, int(index) if slash else None)


def _seconds(value: str, text: str) -> float:
    try:
        return durations.parse(value)
    except ValueError as error:
        raise AssumptionError(f"{text!r}: {error}") from error
