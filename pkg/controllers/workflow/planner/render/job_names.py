"""Names of jobs. They depend on workflow, flow, index and attempt alone: a repeated creation gets the same name."""

from __future__ import annotations

from typing import Final

from pkg.apis.flow.v1alpha1.labels import short_hash
from pkg.apis.structs import Value
from pkg.workloads import NameRule
from pkg.workloads.name_limits import MIN_LENGTH

_HASH: Final = 9  # a dash and 8 hex digits


def job_name(*, workflow: str, flow: str, index: int | None, attempt: int, rule: NameRule) -> str:
    """`<workflow>-<flow>[-<index>][-r<attempt>]`, made to fit what the kind allows.

    `index` is None for a flow without `for`. A name that had to be cut or changed ends in 8 hex digits of a hash of
    workflow, flow, index and attempt, so that no two tasks share a name.
    """
    return _name(_Task(workflow, flow, index, attempt), rule, "")


def fallback_name(*, workflow: str, flow: str, index: int | None, attempt: int, rule: NameRule, uid: str) -> str:
    """The name to use if another object holds the first one; it ends in 8 hex digits of the workflow's uid."""
    return _name(_Task(workflow, flow, index, attempt), rule, _fallback(uid))


def is_name_of(name: str, *, workflow: str, flow: str, index: int | None, attempt: int, uid: str) -> bool:
    """Whether `job_name` or `fallback_name` gives this name under the limits of any kind.

    The limits of the job's kind are not asked: they depend on its spec, and another version of this controller, which
    made the job, may have had others.
    """
    task = _Task(workflow, flow, index, attempt)
    if name == _plain(task):
        return True
    # Of all limits that lead to a name of this length, the tightest one leads to every such name.
    length = max(len(name), MIN_LENGTH)
    rules = (NameRule(length), NameRule(length, label=True), NameRule(length, dns1035=True))
    return any(name == _name(task, rule, ending) for ending in ("", _fallback(uid)) for rule in rules)


def _fallback(uid: str) -> str:
    return f"-{uid.replace('-', '').lower()[:8]}"


class _Task(Value, frozen=True, gc=False):
    workflow: str
    flow: str
    index: int | None
    attempt: int

    def __str__(self) -> str:
        return f"{self.workflow}/{self.flow}/{self.index or 0}/{self.attempt}"


def _base(task: _Task) -> str:
    return f"{task.workflow}-{task.flow}"


def _suffix(task: _Task) -> str:
    return ("" if task.index is None else f"-{task.index}") + (f"-r{task.attempt}" if task.attempt else "")


def _plain(task: _Task) -> str:
    return f"{_base(task)}{_suffix(task)}"


def _name(task: _Task, rule: NameRule, ending: str) -> str:
    base, suffix = _base(task), _suffix(task)
    changed = False
    if rule.dns1035 or rule.label:
        fitting = base.replace(".", "-")
        fitting = f"w{fitting}" if rule.dns1035 and fitting[0].isdigit() else fitting
        changed = fitting != base
        base = fitting
    if not changed and len(base) + len(suffix) + len(ending) <= rule.max_length:
        return f"{base}{suffix}{ending}"
    room = rule.max_length - len(suffix) - _HASH - len(ending)
    if room < 1:
        # Only the hash fits. DNS-1035 requires a letter first.
        return f"w{short_hash(f'{task}{ending}')}"
    return f"{base[:room].rstrip('-.')}{suffix}-{short_hash(str(task))}{ending}"
