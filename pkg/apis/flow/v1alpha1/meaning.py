"""What a spec means, however it is written: the values that `specHash` covers and that edits are compared by.

A field at its default counts as left out, a duration as its length, a list that is a set as a set. So a default that is
written out, `60m` for `1h`, or another order of parameters changes nothing.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import defaults, durations, raw
from pkg.apis.flow.v1alpha1.types import (
    Approval,
    DependsOn,
    Flow,
    For,
    Group,
    PolicyType,
    Probe,
    Remaining,
    Retry,
    RetryReason,
    Strategy,
    SuccessPolicy,
    TaskStatus,
    WorkflowSpec,
    WorkTemplateSpec,
)

Meaning = dict[str, Any]

# Parts that mean the same as no part when everything in them is at its default. `for` is none of these: it gives the
# jobs of the flow an index.
_MAY_BE_LEFT_OUT: Final = (DependsOn, Probe, Retry, SuccessPolicy)
# Lists in which order and repetition mean nothing. Those of HTTP and TCP probes and of orGroups are none of these:
# status names an answered probe by its place.
_SETS: Final[Mapping[type[msgspec.Struct], frozenset[str]]] = {
    DependsOn: frozenset({"targets"}),
    Group: frozenset({"targets"}),
    Retry: frozenset({"reasons"}),
    SuccessPolicy: frozenset({"critical_flows"}),
}
# Whole numbers up to this size are written alike as integer and as float.
_EXACT: Final = 2**53


def meaning(part: msgspec.Struct) -> Meaning:
    """The fields of a part of the API that are not at their defaults, by their Python names, as JSON values."""
    found: Meaning = {}
    for name, default, is_duration in _fields(type(part)):
        value = getattr(part, name)
        if isinstance(value, msgspec.Raw):
            name, value, default = name.removeprefix("raw_"), _decoded(part, name, value), None
        if value is None or value == default:
            continue
        given = _nanoseconds(value) if is_duration else _plain(value)
        is_left_out = is_duration and default is not None and given == _nanoseconds(default)
        if not is_left_out and not (isinstance(value, _MAY_BE_LEFT_OUT) and not given):
            found[name] = given
    return _ADJUST.get(type(part), _with_sets)(part, found)


def is_same_spec(old: WorkflowSpec, new: WorkflowSpec) -> bool:
    """Whether two specs mean the same. It costs what differs: flows that are equal are not looked into."""
    if len(old.flows) != len(new.flows):
        return False
    changed = ((one, other) for one, other in zip(old.flows, new.flows, strict=True) if one != other)
    if not all(is_same(meaning(one), meaning(other)) for one, other in changed):
        return False
    return is_same(*(meaning(msgspec.structs.replace(spec, flows=())) for spec in (old, new)))


def is_same(one: Any, other: Any) -> bool:
    """Whether two meanings, or two values in them, are the same JSON. To Python, true and 1 are equal."""
    return bool(one == other) and _text(one) == _text(other)


def _text(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def _decoded(part: msgspec.Struct, name: str, text: msgspec.Raw) -> Any:
    """The value of a raw field, its text where it cannot be decoded, and None where it is empty."""
    if raw.is_empty(text):
        return None
    try:
        value = getattr(part, name.removeprefix("raw_"))
        return None if isinstance(value, dict | list | tuple) and not value else value
    except raw.RawError:
        return bytes(text).decode(errors="replace")


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any, bool], ...]:
    """Name, default, and whether it is a duration, of each field."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return tuple(
        (
            field.name,
            field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory(),
            _is_duration(hints[field.name]),
        )
        for field in msgspec.structs.fields(kind)
    )


def _is_duration(hint: Any) -> bool:
    notes = getattr(hint, "__metadata__", ())
    if any(isinstance(note, msgspec.Meta) and note.pattern == durations.PATTERN for note in notes):
        return True
    return any(_is_duration(inner) for inner in typing.get_args(hint) if inner is not hint)


def _plain(value: Any) -> Any:
    """A value as JSON, in which equal things are written alike."""
    if isinstance(value, msgspec.Struct):
        return meaning(value)
    if isinstance(value, msgspec.Raw):
        return _plain(msgspec.json.decode(value))
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if type(value) is float and value.is_integer() and abs(value) <= _EXACT:
        return int(value)  # JSON does not tell 2 from 2.0
    return value


def _nanoseconds(text: str) -> int | str:
    """The length of a duration; the text itself if it is none."""
    try:
        return durations.nanoseconds(text)
    except ValueError:
        return text


# What a generic look at the fields does not see.


def _with_sets(part: msgspec.Struct, found: Meaning) -> Meaning:
    for name in _SETS.get(type(part), ()):
        if name in found:
            found[name] = sorted(set(found[name]))
    return found


def _retry(part: Retry, found: Meaning) -> Meaning:
    found = _with_sets(part, found)
    if set(part.reasons) == set(defaults.NO_RETRY.reasons):
        found.pop("reasons", None)
    return found


def _flow(part: Flow, found: Meaning) -> Meaning:
    if part.template == part.name:
        found.pop("template", None)
    if "outputs" not in found and "reasons" in found.get("retry", {}):
        _forget_missing_outputs(found)
    return _with_lock_sets(_sorted_by_name(_sorted_by_name(found, "parameters"), "outputs"))


def _forget_missing_outputs(found: Meaning) -> None:
    """Without outputs none can be missing, so whether that is retried means nothing."""
    given = found["retry"]
    without = [reason for reason in given["reasons"] if reason != RetryReason.OUTPUT_MISSING]
    usual = set(defaults.NO_RETRY.reasons) - {RetryReason.OUTPUT_MISSING}
    found["retry"] = {key: value for key, value in given.items() if key != "reasons"}
    if set(without) != usual:
        found["retry"]["reasons"] = without
    if not found["retry"]:
        del found["retry"]


def _approval(part: Approval, found: Meaning) -> Meaning:
    """Approvers are a set: any of them may approve."""
    if "approvers" in found:
        unique = {(one.user, one.group): given for one, given in zip(part.approvers, found["approvers"], strict=True)}
        found["approvers"] = [given for _, given in sorted(unique.items())]
    return found


def _for(part: For, found: Meaning) -> Meaning:
    if part.replicas == 1:
        found.pop("replicas", None)
    return found


def _with_sorted_parameters(part: msgspec.Struct, found: Meaning) -> Meaning:
    return _sorted_by_name(found, "parameters")


def _workflow_spec(part: WorkflowSpec, found: Meaning) -> Meaning:
    return _with_lock_sets(_sorted_by_name(found, "parameters"))


def _with_lock_sets(found: Meaning) -> Meaning:
    """Locks are taken in an order of their own, so that in which they are listed means nothing."""
    for name in ("mutexes", "semaphores"):
        if name in found:
            found[name] = sorted(found[name], key=_text)
    return found


def _sorted_by_name(found: Meaning, field: str) -> Meaning:
    """The same with a list whose items are told apart by name; one that is given twice keeps its place among its
    namesakes.
    """
    given = found.get(field)
    if isinstance(given, list):
        found[field] = sorted(given, key=lambda one: str(one.get("name")))
    return found


def _task_status(part: TaskStatus, found: Meaning) -> Meaning:
    return {**found, "phase": defaults.meant(part.phase).value}


def _probe(part: Probe, found: Meaning) -> Meaning:
    return {} if part.is_empty else found


def _group(part: Group, found: Meaning) -> Meaning:
    found = _with_sets(part, found)
    if "strategy" in found and _is_usual(part, Strategy(found["strategy"])):
        del found["strategy"]
    return found


def _depends_on(part: DependsOn, found: Meaning) -> Meaning:
    found = _with_sets(part, found)
    top = Group(targets=part.targets, strategy=part.strategy, probe=part.probe)
    if "strategy" in found and _is_usual(top, Strategy(found["strategy"])):
        del found["strategy"]
    has_predicate = any(name in found for name in ("targets", "probe", "or_groups"))
    return found if has_predicate else {}


def _is_usual(group: Group, given: Strategy) -> bool:
    """Whether a strategy is what each predicate of the group has without one: Any for phase Failed, else All."""
    probe = group.probe or Probe()
    usual = {defaults.strategy(None, status.phase) for status in probe.task_status_list}
    if group.targets or probe.http_get_list or probe.tcp_socket_list or not usual:
        usual.add(Strategy.ALL)
    return usual == {given}


def _success_policy(part: SuccessPolicy, found: Meaning) -> Meaning:
    found = _with_sets(part, found)
    if part.type is not PolicyType.CRITICAL and part.remaining is Remaining.DRAIN:
        found.pop("remaining", None)
    return found


_ADJUST: Final[dict[type[msgspec.Struct], Callable[[Any, Meaning], Meaning]]] = {
    Retry: _retry,
    Flow: _flow,
    Approval: _approval,
    For: _for,
    TaskStatus: _task_status,
    Probe: _probe,
    Group: _group,
    DependsOn: _depends_on,
    SuccessPolicy: _success_policy,
    WorkflowSpec: _workflow_spec,
    WorkTemplateSpec: _with_sorted_parameters,
}
