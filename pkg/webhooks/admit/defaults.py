"""Writes defaults out: a JSON Patch for the fields that are missing in an object and have a default.

Only fields outside of lists are written. `kubectl apply` compares a list as a whole, so a default that is written into
an item of spec.flows would make each apply of an unchanged manifest say `configured`. And only defaults that depend on
no other field are written: one that does would stay when that field changes. The controller reads a missing field as
its default, so nothing depends on this patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jsonpatch
import msgspec
from msgspec import Raw

from pkg.apis.flow.v1alpha1.types import Action, ConcurrencyPolicy, FieldValidation, PolicyType, RetainPolicy

DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "Workflow": {"successPolicy": {"type": PolicyType.ALL.value}, "jobRetainPolicy": RetainPolicy.RETAIN.value},
    "CronWorkflow": {
        "concurrencyPolicy": ConcurrencyPolicy.ALLOW.value,
        "successfulHistoryLimit": 3,
        "failedHistoryLimit": 1,
    },
    "WorkTemplate": {"fieldValidation": FieldValidation.WARN.value, "action": Action.CREATE.value},
}
"""The fields of spec with a default, by kind."""


class _Object(msgspec.Struct, frozen=True):
    spec: dict[str, Raw]


_object: Final = msgspec.json.Decoder(_Object)
_value: Final = msgspec.json.Decoder(Any)


def default_steps(kind: str, text: bytes) -> tuple[Mapping[str, Any], ...]:
    """The steps of a JSON Patch that writes the defaults of an object out; none if it has them, or cannot be read."""
    defaults = DEFAULTS[kind]
    try:
        spec = _object.decode(text).spec
        given = {key: _value.decode(spec[key]) for key in defaults if key in spec}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    patch: list[dict[str, Any]] = jsonpatch.make_patch({"spec": given}, {"spec": _filled(given, defaults)}).patch
    return tuple(patch)


def _filled(given: Any, defaults: Mapping[str, Any]) -> Any:
    """The value with defaults where it has nothing, in maps inside of it too. An explicit null is left as it is."""
    if not isinstance(given, dict):
        return given
    filled = dict(given)
    for key, default in defaults.items():
        if key not in filled:
            filled[key] = default
        elif isinstance(default, Mapping):
            filled[key] = _filled(filled[key], default)
    return filled
