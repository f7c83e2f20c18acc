"""Lets the raw fields of a part that was just decoded share one buffer of their own.

A raw field is at first a view of the whole message, and would keep all of it in memory. This runs for each object that
a watch shows and for each answer to a write, so it is compiled; classes that JSON is decoded into cannot be compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pkg.apis.flow.v1alpha1.raw import ABSENT

if TYPE_CHECKING:
    from pkg.apis.flow.v1alpha1.types import WorkflowSpec

_set = msgspec.structs.force_setattr
_VIEWS: Final = msgspec.json.Decoder(list[msgspec.Raw])


def gather(part: msgspec.Struct, *names: str) -> None:
    """The fields of these names of one part."""
    places: list[tuple[msgspec.Struct, str]] = []
    fields: list[msgspec.Raw] = []
    for name in names:
        _note(places, fields, part, name, getattr(part, name))
    _share(places, fields)


def gather_spec(spec: WorkflowSpec) -> None:
    """All raw fields of a spec and of its flows; the items of each flow have a buffer of their own."""
    places: list[tuple[msgspec.Struct, str]] = []
    fields: list[msgspec.Raw] = []
    _note(places, fields, spec, "raw_parameters", spec.raw_parameters)
    _note(places, fields, spec, "raw_plugins", spec.raw_plugins)
    for flow in spec.flows:
        _note(places, fields, flow, "raw_depends_on", flow.raw_depends_on)
        _note(places, fields, flow, "raw_patch", flow.raw_patch)
        _note(places, fields, flow, "raw_parameters", flow.raw_parameters)
        _note(places, fields, flow, "raw_outputs", flow.raw_outputs)
        loop = flow.for_
        if loop is not None:
            _note(places, fields, loop, "raw_depends_on", loop.raw_depends_on)
            if loop.items:
                _set(loop, "items", tuple(_views(list(loop.items))))
    _share(places, fields)


def _note(
    places: list[tuple[msgspec.Struct, str]],
    fields: list[msgspec.Raw],
    part: msgspec.Struct,
    name: str,
    field: msgspec.Raw,
) -> None:
    if field is not ABSENT:
        places.append((part, name))
        fields.append(field)


def _share(places: list[tuple[msgspec.Struct, str]], fields: list[msgspec.Raw]) -> None:
    if fields:
        for (part, name), view in zip(places, _views(fields), strict=True):
            _set(part, name, view)


def _views(fields: list[msgspec.Raw]) -> list[msgspec.Raw]:
    """The same fields as views of one buffer."""
    if len(fields) == 1:
        return [fields[0].copy()]
    try:
        return _VIEWS.decode(b"[%s]" % b",".join(fields))
    except RecursionError:  # a field that is nested too deeply, which is found when it is used
        return [field.copy() for field in fields]
