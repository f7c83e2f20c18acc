"""The list of Workflows: its lines, and which of them a viewer asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from pkg.views.durations import seconds_of
from pkg.views.workflow_list import Listed, line

#: The most lines of one page.
MAX_PAGE: Final = 500
_UNSEEN: Final = "Pending"
_LIVELY: Final = ("Running", "Terminating", "Suspended", "Pending", "Failed", "Succeeded")


class ListLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One Workflow. Times are seconds since the epoch; why: what it waits for or why it ended."""

    namespace: str
    name: str
    phase: str
    progress: str = ""
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    running: int = 0
    failed: int = 0
    blocked: bool = False
    reason: str = ""
    why: str = ""


class Query(msgspec.Struct, frozen=True):
    """text: words that all have to occur in name, namespace, phase or why; phases: one of them, or all if empty;
    sort: a key of SORTS, with `-` in front for the other direction.
    """

    text: str = ""
    namespace: str = ""
    phases: frozenset[str] = frozenset()
    blocked: bool = False
    sort: str = "-created"
    offset: int = 0
    limit: int = 50


class ListPage(msgspec.Struct, frozen=True):
    """total: all that the viewer may see; matched: those that the query means, of which `lines` is one page;
    phases: how many of each phase, by everything else that the query says; blocked: the same of those that wait for a
    person.
    """

    lines: tuple[ListLine, ...]
    total: int
    matched: int
    phases: Mapping[str, int]
    blocked: int
    namespaces: tuple[str, ...]


SORTS: Final[Mapping[str, Callable[[ListLine], Any]]] = {
    "created": lambda one: (one.created or 0.0, one.namespace, one.name),
    "name": lambda one: (one.name, one.namespace),
    "namespace": lambda one: (one.namespace, one.name),
    "phase": lambda one: (_LIVELY.index(one.phase) if one.phase in _LIVELY else len(_LIVELY), one.name),
    "duration": lambda one: ((one.ended or 0.0) - (one.started or 0.0) if one.ended else float("inf"), one.name),
}


def list_line(found: Listed) -> ListLine:
    """The line of one Workflow."""
    shown = line(found, 0.0)
    return ListLine(
        namespace=shown.namespace,
        name=shown.name,
        phase=shown.phase or _UNSEEN,
        progress=shown.progress,
        created=seconds_of(found.metadata.creation_timestamp),
        started=seconds_of(found.status.start_time),
        ended=seconds_of(found.status.completion_time),
        running=shown.running,
        failed=shown.failed,
        blocked=shown.is_blocked,
        reason=shown.reason,
        why=shown.why,
    )


def select(lines: Iterable[ListLine], query: Query, visible: Collection[str] | None) -> ListPage:
    """One page. visible: the namespaces that the viewer may see; None for all. Raises KeyError for an unknown sort."""
    key = SORTS[query.sort.removeprefix("-")]
    seen = [one for one in lines if visible is None or one.namespace in visible]
    namespaces = tuple(sorted({one.namespace for one in seen}))
    words = query.text.lower().split()
    meant = [one for one in seen if (not query.namespace or one.namespace == query.namespace) and _has(one, words)]
    phases: dict[str, int] = {}
    for one in meant:
        phases[one.phase] = phases.get(one.phase, 0) + 1
    blocked = sum(one.blocked for one in meant)
    matched = [
        one for one in meant if (not query.phases or one.phase in query.phases) and (one.blocked or not query.blocked)
    ]
    matched.sort(key=key, reverse=query.sort.startswith("-"))
    page = tuple(matched[query.offset : query.offset + min(query.limit, MAX_PAGE)])
    return ListPage(page, len(seen), len(matched), phases, blocked, namespaces)


def _has(one: ListLine, words: Iterable[str]) -> bool:
    text = f"{one.namespace}/{one.name} {one.phase} {one.why}".lower()
    return all(word in text for word in words)
