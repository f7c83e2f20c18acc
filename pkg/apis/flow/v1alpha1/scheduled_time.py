"""`{{workflow.scheduledTime}}`: a variable of the Workflows that have a scheduled time, as their annotation says it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from pkg.apis.flow.v1alpha1 import variables
from pkg.apis.flow.v1alpha1.faults import Fault, fault
from pkg.apis.flow.v1alpha1.labels import SCHEDULED
from pkg.apis.flow.v1alpha1.raw import ABSENT, RawError
from pkg.apis.flow.v1alpha1.reading import Reading

_MARK: Final = b"scheduledTime"


def is_time(text: str) -> bool:
    """Whether a text is a time as RFC 3339 has it, with its offset from UTC."""
    try:
        return "T" in text and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def change_fault(old: Mapping[str, str] | None, new: Mapping[str, str]) -> Fault | None:
    """What is wrong with the annotation of a new Workflow (`old` is None), or of one that is changed."""
    text = new.get(SCHEDULED)
    if old is not None and text != old.get(SCHEDULED):
        message = f"{SCHEDULED} cannot be changed: jobs may have been made with it. Make another Workflow instead"
        return fault("metadata.annotations", message, text or "")
    if old is None and text is not None and not is_time(text):
        message = f'{SCHEDULED} must be a time with its offset, such as 2026-03-29T02:30:00+01:00, not "{text[:64]}"'
        return fault("metadata.annotations", message, text)
    return None


def use_faults(reading: Reading) -> Iterator[Fault]:
    """The uses of the variable in a Workflow that has no scheduled time, one of each flow or template."""
    spec = reading.spec
    yield from _first(spec.raw_parameters, lambda: _values(spec.parameters), "spec.parameters")
    seen: set[str] = set()
    for at, flow in enumerate(spec.flows):
        path = f"spec.flows[{at}]"
        yield from _first(flow.raw_patch, lambda flow=flow: flow.patch, f"{path}.patch")  # type: ignore[misc]
        yield from _first(
            flow.raw_parameters,
            lambda flow=flow: _values(flow.parameters),  # type: ignore[misc]
            f"{path}.parameters",
        )
        template = reading.templates.get(flow.template_name)
        if template is None or flow.template_name in seen:
            continue
        seen.add(flow.template_name)
        place, of = f"{path} (template {flow.template_name})", template.spec
        yield from _first(of.raw_job_spec, lambda of=of: of.job_spec, f"{place}.jobSpec")  # type: ignore[misc]
        yield from _first(
            of.raw_metadata,
            lambda of=of: msgspec.to_builtins(of.metadata),  # type: ignore[misc]
            f"{place}.metadata",
        )
        yield from _first(
            of.raw_parameters,
            lambda of=of: _values(of.parameters),  # type: ignore[misc]
            f"{place}.parameters",
        )


def _values(parameters: Any) -> list[dict[str, str]]:
    return [{"value": parameter.value or ""} for parameter in parameters]


def _first(text: msgspec.Raw, decode: Callable[[], Any], path: str) -> Iterator[Fault]:
    if text is ABSENT or not variables.may_hold(text, _MARK):
        return
    try:
        tree = decode()
    except RawError:
        return  # a fault of the field by itself
    for found in variables.scan(tree, path):
        if isinstance(found.token, variables.Known) and found.token.name == variables.SCHEDULED_TIME:
            shown = f"{{{{{variables.SCHEDULED_TIME}}}}}"
            yield fault(found.path, f"{shown} {variables.NO_SCHEDULED_TIME}", shown)
            return
