"""The first algorithm of `specHash`, for workflows that an older controller started. It is frozen.

It sees how a field is written: `60m` differs from `1h`, and `retry: {}` from no retry.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from functools import cache
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import raw
from pkg.apis.flow.v1alpha1.types import Flow, For, Parameter, Retry, WorkflowSpec

_LEFT_OUT: Final = (
    "suspend",
    "shutdown",
    "restart",
    "parallelism",
    "ttl_seconds_after_finished",
    "timeout",
    "approvals",
)
# The default of retry.reasons at that time.
_REASONS: Final = ("Failed", "JobDeleted", "DeadlineExceeded", "PendingTimeout")


def first_spec_hash(spec: WorkflowSpec) -> str:
    """16 hex digits over what differs from the defaults and is not free."""
    fixed = {name: value for name, value in _meaning(spec).items() if name not in _LEFT_OUT}
    return hashlib.sha256(msgspec.json.encode(fixed, order="deterministic")).hexdigest()[:16]


def _meaning(part: msgspec.Struct) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, default in _fields(type(part)):
        value = getattr(part, name)
        if isinstance(value, msgspec.Raw):
            given.update(_given_raw(part, name, value))
        elif value != default:
            given[name] = _plain(value)
    if isinstance(part, Flow) and part.template == part.name:
        given.pop("template", None)
    if isinstance(part, For) and part.replicas == 1:  # the default of that time
        given.pop("replicas", None)
    if isinstance(part, Parameter) and part.value == "":  # the default of that time
        given.pop("value", None)
    if isinstance(part, Retry):
        if tuple(part.reasons) == _REASONS:
            given.pop("reasons", None)
        if "factor" in given:
            given["factor"] = float(given["factor"])
    return given


def _given_raw(part: msgspec.Struct, name: str, text: msgspec.Raw) -> dict[str, Any]:
    if raw.is_empty(text):
        return {}
    name = name.removeprefix("raw_")
    try:
        value = getattr(part, name)
    except raw.RawError:
        return {name: bytes(text).decode(errors="replace")}
    if name == "patch":
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
        return _meaning(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
