"""What is known of a task when the template that it calls is expanded. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pkg.convert.argo.loops import Loop
from pkg.convert.conditions import Condition
from pkg.convert.source import Source


@dataclass(frozen=True, slots=True)
class Place:
    """Where a template is expanded: the prefix of its flows, what they wait for, and what its inputs are."""

    prefix: str
    condition: Condition
    skippable: frozenset[str]
    when: tuple[str, ...]
    env: Mapping[str, str]
    is_finally: bool
    path: tuple[str, ...]
    item: Mapping[str, str] | None = None
    #: The inputs of the template that its tasks use.
    used: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Call:
    """One task, and the template that it calls.

    where: the field that names the template; name: of the task; arguments: values of the template's inputs;
    conditions: when the task runs, in CEL; inline: the template itself, where it is written into the task.
    """

    template: str
    where: Source
    place: Place
    name: str
    arguments: Mapping[str, str]
    loop: Loop
    conditions: tuple[str, ...] = ()
    inline: Source | None = None
