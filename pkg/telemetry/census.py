"""The numbers of workflows and tasks as their statuses show them, counted at every scrape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Census:
    """How many there are of each.

    workflows: by phase; tasks: of workflows that have not ended, by phase; waiting: tasks by the reason of their flow;
    blocked: workflows with the condition Blocked, by reason; blocked_since: seconds since the epoch of the oldest.
    """

    workflows: Mapping[str, int] = field(default_factory=dict)
    tasks: Mapping[str, int] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    blocked: Mapping[str, int] = field(default_factory=dict)
    blocked_since: float | None = None
