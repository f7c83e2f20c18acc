"""Defaults that depend on other fields, and the hash of a spec that ignores how defaults are written.

Defaults that depend on nothing stand beside their fields in `types`.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from functools import cache
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import raw
from pkg.apis.flow.v1alpha1.types import (
    Flow,
    PolicyType,
    ProbedPhase,
    Remaining,
    Retry,
    Strategy,
    SuccessPolicy,
    WorkflowSpec,
)

NO_RETRY: Final = Retry()

# Fields that may change after the start. They are not part of the hash.
MUTABLE: Final = ("suspend", "shutdown", "restart", "parallelism", "ttl_seconds_after_finished", "timeout")

_SAME_PHASE: Final = {
    ProbedPhase.SUCCEEDED: ProbedPhase.COMPLETED,
    ProbedPhase.TERMINATED: ProbedPhase.FAILED,
    ProbedPhase.ABORTED: ProbedPhase.FAILED,
}


def meant(phase: ProbedPhase) -> ProbedPhase:
    """The phase that is meant: Succeeded means Completed, Terminated and Aborted mean Failed."""
    return _SAME_PHASE.get(phase, phase)


def strategy(given: Strategy | None, phase: ProbedPhase | None = None) -> Strategy:
    """How many replicas must meet a predicate: as given, else Any for the phase Failed and All otherwise."""
    if given is not None:
        return given
    return Strategy.ANY if phase is not None and meant(phase) is ProbedPhase.FAILED else Strategy.ALL


def remaining(policy: SuccessPolicy, *, succeeded: bool) -> Remaining:
    """What happens to unfinished flows once the outcome is decided.

    As given, else Continue if the policy is Critical and succeeded, and Drain otherwise.
    """
    if policy.remaining is not None:
        return policy.remaining
    return Remaining.CONTINUE if policy.type is PolicyType.CRITICAL and succeeded else Remaining.DRAIN


def spec_hash(spec: WorkflowSpec) -> str:
    """16 hex digits over what differs from the defaults and may not change after the start.

    Fields written out with their default value hash as if left out, so that a default that the API server fills in
    later, or a new optional field, changes nothing.
    """
    fixed = {name: value for name, value in meaning(spec).items() if name not in MUTABLE}
    return hashlib.sha256(msgspec.json.encode(fixed, order="deterministic")).hexdigest()[:16]


def meaning(part: msgspec.Struct) -> dict[str, Any]:
    """The fields of a part of the API that differ from their defaults, by their Python names, as JSON values."""
    given: dict[str, Any] = {}
    for name, default in _fields(type(part)):
        value = getattr(part, name)
        if isinstance(value, msgspec.Raw):
            given.update(_given_raw(part, name, value))
        elif value != default:
            given[name] = _plain(value)
    if isinstance(part, Flow) and part.template == part.name:
        given.pop("template", None)  # the default, written out
    return given


def _given_raw(part: msgspec.Struct, name: str, text: msgspec.Raw) -> dict[str, Any]:
    """A raw field under the name of its property; its text where it cannot be decoded; nothing if it is empty."""
    if raw.is_empty(text):
        return {}
    name = name.removeprefix("raw_")
    try:
        value = getattr(part, name)
    except raw.RawError:
        return {name: bytes(text).decode(errors="replace")}
    if name == "patch":  # JSON already; an empty patch is a patch
        return {name: value}
    return {name: _plain(value)} if value else {}


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    return tuple(
        (field.name, field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory())
        for field in msgspec.structs.fields(kind)
    )


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return meaning(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
