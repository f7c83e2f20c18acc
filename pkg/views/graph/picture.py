"""What is drawn of a workflow, before it is known where: boxes for flows, and arrows for what they wait for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from pkg.apis.flow.v1alpha1.phases import Phase


class ArrowKind(StrEnum):
    """How a flow waits for another."""

    TARGET = "target"  # for its success
    FAILURE = "failure"  # for its failure
    STATUS = "status"  # for another phase
    PROBE = "probe"  # for an answer of its pods
    VALUE = "value"  # for what it hands over: a pod address, an output


#: What the formats write about each kind of arrow.
MEANINGS: Final[Mapping[ArrowKind, str]] = {
    ArrowKind.TARGET: "waits for its success",
    ArrowKind.FAILURE: "waits for its failure",
    ArrowKind.STATUS: "waits for a phase",
    ArrowKind.PROBE: "waits for an answer of its pods",
    ArrowKind.VALUE: "needs a value of it",
}


@dataclass(frozen=True, slots=True)
class Box:
    """One flow, one replica of it, or several flows that are drawn as one.

    name: unique in the picture; flows: the names of the flows that it stands for; note: a second line, such as `×4` or
    `3/4 succeeded`; phase: None where no status is known; is_approval: a person decides, and there is no job.
    """

    name: str
    flows: tuple[str, ...]
    note: str = ""
    phase: Phase | None = None
    is_finally: bool = False
    is_approval: bool = False

    @property
    def is_several(self) -> bool:
        return len(self.flows) > 1


@dataclass(frozen=True, slots=True)
class Arrow:
    """`target` waits for `source`, both by the names of their boxes. is_alternative: it is part of an orGroup, or of a
    dependsOn that has one.
    """

    source: str
    target: str
    kind: ArrowKind
    label: str = ""
    is_alternative: bool = False


@dataclass(frozen=True)
class Picture:
    """The boxes in the order of the spec, and the arrows between them. Both ends of every arrow are boxes."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    subtitle: str = field(default="")

    @cached_property
    def by_name(self) -> dict[str, Box]:
        return {box.name: box for box in self.boxes}

    def near(self, names: Iterable[str], depth: int) -> Picture:
        """Only what is at most so many arrows away from the boxes that stand for these flows."""
        wanted = set(names)
        shown = {box.name for box in self.boxes if wanted.intersection(box.flows)}
        neighbours: dict[str, list[str]] = {}
        for arrow in self.arrows:
            neighbours.setdefault(arrow.source, []).append(arrow.target)
            neighbours.setdefault(arrow.target, []).append(arrow.source)
        edge = set(shown)
        for _ in range(depth):
            edge = {other for name in edge for other in neighbours.get(name, ())} - shown
            if not edge:
                break
            shown |= edge
        return self._only(shown)

    def _only(self, shown: set[str]) -> Picture:
        return Picture(
            self.title,
            tuple(box for box in self.boxes if box.name in shown),
            tuple(arrow for arrow in self.arrows if arrow.source in shown and arrow.target in shown),
            self.subtitle,
        )


def merged(arrows: Iterable[Arrow]) -> tuple[Arrow, ...]:
    """One arrow for all of the same ends and kind, with the labels of all, in the order of the first ones."""
    found: dict[tuple[str, str, ArrowKind], list[Arrow]] = {}
    for arrow in arrows:
        found.setdefault((arrow.source, arrow.target, arrow.kind), []).append(arrow)
    return tuple(
        Arrow(
            source,
            target,
            kind,
            ", ".join(dict.fromkeys(arrow.label for arrow in same if arrow.label)),
            all(arrow.is_alternative for arrow in same),
        )
        for (source, target, kind), same in found.items()
    )


def readable(text: str) -> str:
    """The text without control characters, which no picture can have."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
