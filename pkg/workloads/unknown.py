"""Statuses that no rule knows: what a job says, in words for the user who has to explain it to the controller.

Such a job stays Pending, perhaps for ever. Without these words nobody would learn why. Only looks at which no rule
matched come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

from pkg.workloads import paths
from pkg.workloads.functions import phase_of
from pkg.workloads.look import Look
from pkg.workloads.model import KindRow, Predicate, RuleFault
from pkg.workloads.predicates import Getter, compile_getter

Unknown = Callable[[Look], str]

#: Words of a phase that plainly mean "not running yet" or "about to change", for any kind.
PENDING_WORDS: Final = frozenset(
    (
        "aborting",
        "accepted",
        "admitted",
        "cancelling",
        "canceling",
        "created",
        "creating",
        "deleting",
        "enqueued",
        "init",
        "initialising",
        "initializing",
        "inqueue",
        "new",
        "notstarted",
        "pending",
        "preparing",
        "provisioning",
        "queued",
        "restarting",
        "resuming",
        "retrying",
        "scheduled",
        "scheduling",
        "starting",
        "stopping",
        "submitted",
        "submitting",
        "terminating",
        "waiting",
    )
)
#: Conditions that the generic rules read.
_KNOWN_CONDITIONS: Final = frozenset(
    ("Failed", "Failure", "Stalled", "Succeeded", "Suspended", "Ready", "Available", "Complete", "Completed")
)
_ADVICE: Final = "which no rule knows; say in spec.statusRules of the WorkTemplate what it means"
_QUOTED: Final = 100  # characters of a quoted value
_FIELDS: Final = 50  # fields of a status that are looked at
_SHOWN: Final = 5  # fields of a status that are quoted


def unknown_words(row: KindRow) -> Unknown:
    """A function that says in one sentence what a job's status says that no rule of the row knows; empty for nothing.

    Words are the texts at the paths that the rules compare with texts, and under the well-known paths of a phase.
    Where a kind has no row, its conditions and its other fields count as well.
    """
    named = [(text, compile_getter(text)) for text in dict.fromkeys(_compared_paths(row)) if _is_path(text)]
    calls = {part.call for part in _parts(row)}
    is_generic = "runningPhase" in calls or "goodPhase" in calls
    is_free = is_generic and not row.rules_from
    reads_cel = any(part.cel is not None for part in _parts(row))

    def words(look: Look) -> str:
        status = look.job.status
        if not status:
            return ""
        try:
            found = _first_word(look, named)
        except RuleFault:
            return ""
        if not found and is_generic and (phase := phase_of(status)):
            found = "" if _is_pending(phase) else f'its phase is "{_short(phase)}"'
            if not found:
                return ""
        if not found and is_generic:
            found = _condition(status)
        if not found and (is_free or reads_cel):
            found = _fields(status, texts_only=not is_free)
        return f"{found}, {_ADVICE}" if found else ""

    return words


def _parts(row: KindRow) -> Iterator[Predicate]:
    """Every predicate of a row, those inside of `all` included."""
    left = [one for key in row.rules.__struct_fields__ for one in getattr(row.rules, key)]
    while left:
        part = left.pop(0)
        yield part
        left.extend(part.all_ or ())


def _compared_paths(row: KindRow) -> Iterator[str]:
    """The paths below status whose value some predicate compares with a text."""
    for part in _parts(row):
        values = (*(part.in_ or ()), part.eq)
        if part.path and part.path.startswith("status.") and any(isinstance(value, str) for value in values):
            yield part.path


def _is_path(text: str) -> bool:
    try:
        paths.parse(text)
    except paths.PathError:
        return False
    return True


def _first_word(look: Look, named: list[tuple[str, Getter]]) -> str:
    """The first text at one of these paths that does not plainly mean that the job is pending."""
    for path, getter in named:
        for value in getter(look):
            if isinstance(value, str) and value and not _is_pending(value):
                return f'{path} is "{_short(value)}"'
    return ""


def _is_pending(word: str) -> bool:
    return "".join(letter for letter in word[:64] if letter.isalpha()).lower() in PENDING_WORDS


def _condition(status: dict[str, Any]) -> str:
    """The conditions that are True, if there is none that the generic rules read."""
    entries = status.get("conditions")
    entries = entries[:_FIELDS] if isinstance(entries, list) else []
    kinds = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("type"), str)]
    if any(entry["type"] in _KNOWN_CONDITIONS for entry in kinds):
        return ""
    holding = [_short(entry["type"]) for entry in kinds if entry.get("status") == "True"]
    if not holding:
        return ""
    names = ", ".join(holding[:_SHOWN])
    return f"its condition {names} is True" if len(holding) == 1 else f"its conditions {names} are True"


def _fields(status: dict[str, Any], *, texts_only: bool) -> str:
    """The fields of the status that may mean something, quoted; empty if there is none."""
    entries = status.get("conditions")
    if isinstance(entries, list) and entries:
        return ""  # a condition that the rules know is not True yet
    shown: list[str] = []
    for name, value in islice(status.items(), _FIELDS):
        if name in ("observedGeneration", "conditions", "message", "reason") or name.endswith(("Time", "Timestamp")):
            continue
        if value in (None, "", [], {}) or (texts_only and not isinstance(value, str)):
            continue
        shown.append(f"{_short(name)}: {_value(value)}")
    return f"its status is {{{', '.join(shown[:_SHOWN])}}}" if shown else ""


def _value(value: Any) -> str:
    match value:
        case str():
            return f'"{_short(value)}"'
        case bool():
            return "true" if value else "false"
        case int() | float():
            return _short(str(value)) if -(10**15) < value < 10**15 else "a number"
        case list():
            return "[...]"
        case _:
            return "{...}"


def _short(text: str) -> str:
    """One line of at most 100 characters."""
    line = " ".join(text[: _QUOTED + 1].split())
    return line if len(line) <= _QUOTED else line[: _QUOTED - 1] + "…"
