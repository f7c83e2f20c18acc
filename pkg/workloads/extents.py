"""Bounds for the values in a CEL expression, as linear functions of the size of what it reads; and its variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from pkg.workloads.projection import TEXT_UNIT, Size

SURE_WEIGHT: Final = 1_000
"""The rules of a template are refused if they could exceed MAX_STEPS on an object of this weight ..."""
SURE_TEXT: Final = 1024 // TEXT_UNIT
"""... whose longest text has 1 KiB ..."""
SURE_ITEMS: Final = 250
"""... and whose longest list has this many items."""


class Growth(NamedTuple):
    """A linear function of an object's size, by its factors: `base + weight * (its weight) + ...`."""

    base: float = 0
    weight: float = 0
    text: float = 0
    items: float = 0

    def at(self, size: Size) -> float:
        return self.base + self.weight * size.weight + self.text * size.text + self.items * size.items

    @property
    def usual(self) -> float:
        """The value for the size on which every admitted rule can be evaluated."""
        return self.at(Size(SURE_WEIGHT, SURE_TEXT, SURE_ITEMS))

    def plus(self, *others: Growth) -> Growth:
        return Growth(*(sum(parts) for parts in zip(self, *others, strict=True)))

    def times(self, factor: float) -> Growth:
        return Growth(*(part * factor for part in self))


class Extent(NamedTuple):
    """Upper bounds for one value: its weight, its length if it is a text (in units), its items if it has some, and the
    items of the longest list or map inside of it.
    """

    weight: Growth
    text: Growth
    items: Growth = Growth()
    inner: Growth = Growth()

    @property
    def part(self) -> Extent:
        """What holds for every value inside."""
        return self._replace(items=self.inner)


def most(growths: Iterable[Growth]) -> Growth:
    return Growth(*(max(parts) for parts in zip(*growths, strict=True)))


def least(one: Growth, other: Growth) -> Growth:
    """Either is a bound where the smaller of two values counts; the one that is smaller for usual sizes."""
    return one if one.usual <= other.usual else other


def widest(extents: Iterable[Extent]) -> Extent:
    return Extent(*(most(parts) for parts in zip(*extents, strict=True)))


ONE: Final = Growth(1)
SMALL: Final = Extent(ONE, ONE)
# Numbers, booleans, times: their text is short, and they are not lists.
OF_OBJECT: Final = Extent(Growth(weight=1), Growth(text=1), Growth(items=1), Growth(items=1))
# What the API server keeps short: a name has at most 253 bytes. A macro may read it at every item.
_NAME: Final = Extent(Growth(1 + 256 / TEXT_UNIT), Growth(1 + 256 / TEXT_UNIT))


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables of an expression.

    names: of all; is_one: there is one, and what is read of it is named without it; small: what is of bounded size,
    with the bound, and may therefore be read inside of a macro; shown: the same for messages.
    """

    names: frozenset[str]
    is_one: bool
    small: Mapping[tuple[str, ...], Extent]
    shown: str


OBJECT: Final = Variables(
    names=frozenset({"object"}),
    is_one=True,
    small={
        ("metadata", "generation"): SMALL,
        **{("metadata", name): _NAME for name in ("name", "namespace", "uid")},
    },
    shown="of `object` only metadata.generation, metadata.name, metadata.namespace, metadata.uid, and has(...)",
)
RUN: Final = Variables(
    names=frozenset({"params", "outputs", "flows", "index", "item", "replicas", "workflow"}),
    is_one=False,
    small={
        ("index",): SMALL,
        ("replicas",): SMALL,
        ("workflow", "duration"): SMALL,
        **{("workflow", name): _NAME for name in ("name", "namespace", "uid", "phase", "reason")},
    },
    shown="index, replicas, workflow.name, workflow.namespace, workflow.uid, and has(...)",
)
"""What `when` reads."""
# Inside a macro `weight` stands for the weight of its variable, and no text is longer than that.
OF_VARIABLE: Final = Extent(*(Growth(weight=1),) * 4)
