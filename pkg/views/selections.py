"""Which workflows a deletion of many means: by phase, and by how long ago they ended. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pkg.apis.flow.v1alpha1 import durations
from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.views.briefs import Brief
from pkg.views.durations import elapsed

_DAYS: Final = re.compile(r"(\d{1,6})d(.*)\Z")


@dataclass(frozen=True, slots=True)
class Selection:
    """phases: those that are meant, none for every final one; every: those that have not ended as well;
    older: seconds since the end, or since the creation of what has not ended.
    """

    phases: frozenset[WorkflowPhase] = frozenset()
    every: bool = False
    older: float = 0.0

    def has(self, brief: Brief, now: float) -> bool:
        """Whether a workflow is meant. One that is being deleted already never is."""
        if brief.is_deleting:
            return False
        if self.phases:
            if brief.phase not in self.phases:
                return False
        elif not self.every and not brief.is_final:
            return False
        return self.older <= 0 or age(brief, now) > self.older


def age(brief: Brief, now: float) -> float:
    """Seconds since the end of a workflow, or since its creation while it has not ended."""
    since = brief.status.completion_time if brief.is_final else ""
    return elapsed(since or brief.metadata.creation_timestamp, None, now) or 0.0


def parse_age(text: str) -> float:
    """Seconds of `7d`, `12h` or `1d12h`: a Go duration that may begin with days. Raises ValueError."""
    match = _DAYS.match(text)
    days, rest = (int(match[1]), match[2]) if match is not None else (0, text)
    try:
        return days * 86_400 + (durations.parse(rest) if rest or match is None else 0.0)
    except ValueError as error:
        raise ValueError(f'"{text}" is no age; write it like 7d, 12h or 1d12h30m') from error


def parse_phases(given: Iterable[str]) -> frozenset[WorkflowPhase]:
    """`Succeeded,Failed` as phases, in whatever case. Raises ValueError that names those that there are."""
    known = {phase.value.lower(): phase for phase in WorkflowPhase}
    found = set()
    for word in (part.strip() for text in given for part in text.split(",")):
        if word.lower() not in known:
            raise ValueError(f'"{word}" is no phase; there are {", ".join(WorkflowPhase)}')
        found.add(known[word.lower()])
    return frozenset(found)
