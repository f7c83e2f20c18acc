"""Reads Workflows, WorkTemplates and CronWorkflows: the object, or every place where its form is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar, get_type_hints

import msgspec
from msgspec import Raw

from pkg.apis.flow.v1alpha1.faults import Fault, Faults, shortened
from pkg.apis.flow.v1alpha1.raw import TOO_DEEP
from pkg.apis.flow.v1alpha1.schema_faults import schema_faults
from pkg.apis.flow.v1alpha1.types import CronWorkflow, Workflow, WorkTemplate

KINDS: Final[dict[str, type[Workflow | WorkTemplate | CronWorkflow]]] = {
    "Workflow": Workflow,
    "WorkTemplate": WorkTemplate,
    "CronWorkflow": CronWorkflow,
}

_NAME: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\Z")
_NAME_RULE: Final = 'must be lower case letters, digits, "-" and ".", such as train-1, at most 253 of them'

T = TypeVar("T", bound=Workflow | WorkTemplate | CronWorkflow)

# Made here, when the module is imported, and not by the threads that use them.
_DECODERS: Final[dict[Any, msgspec.json.Decoder[Any]]] = {kind: msgspec.json.Decoder(kind) for kind in KINDS.values()}


def read(text: bytes, kind: type[T]) -> T | Faults:
    """The object, or what is wrong with its form. Fields that do not exist are passed over.

    The API server has removed such fields and checked the rest by the schema of the CRD. So there are faults only if
    its CRD is another one than that of this program.
    """
    try:
        found: T = _DECODERS[kind].decode(text)
    except msgspec.ValidationError as error:
        return _form_faults_of(text, kind) or Faults([Fault("", str(error))])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Faults([Fault("", f"cannot be read: {error}")])
    except RecursionError:
        return Faults([Fault("", TOO_DEEP)])
    return found


def _form_faults_of(text: bytes, kind: type[Any]) -> Faults:
    """None if the text as a whole cannot be decoded: it has a number that is too large, or is nested too deeply."""
    try:
        return Faults(form_faults(msgspec.json.decode(text), kind))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Faults()


def read_strictly(tree: dict[str, Any], kind: type[T]) -> T | Faults:
    """The object of a manifest, or what the API server would refuse or drop, fields that do not exist included."""
    try:
        if faults := Faults(form_faults(tree, kind)):
            return faults
        text = msgspec.json.encode(tree)
    except (RecursionError, TypeError, UnicodeEncodeError) as error:
        return Faults([Fault("", f"cannot be written as JSON: {error}")])
    return read(text, kind)


def form_faults(tree: dict[str, Any], kind: type[Any]) -> Iterator[Fault]:
    """Where a manifest differs from the schema of its kind."""
    metadata = tree.get("metadata")
    if not isinstance(metadata, dict) or not (metadata.get("name") or metadata.get("generateName")):
        yield Fault("metadata.name", "must be given; with `kubectl create`, metadata.generateName will do")
    elif (name := metadata.get("name")) and not (isinstance(name, str) and _NAME.match(name) and len(name) <= 253):
        yield Fault("metadata.name", f"{_NAME_RULE}, not {shortened(name)}", shortened(name))
    if "spec" not in tree:
        yield Fault("spec", "must be given")
    else:
        yield from schema_faults(tree["spec"], get_type_hints(kind, include_extras=True)["spec"], "spec")


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    deletion_timestamp: Any = None


class Outline(msgspec.Struct, frozen=True):
    """As much of an object as shows whether it needs to be judged. Its spec stays text."""

    metadata: _Meta = _Meta()
    spec: Raw = Raw(b"")

    @property
    def is_deleting(self) -> bool:
        return self.metadata.deletion_timestamp is not None


_outline: Final = msgspec.json.Decoder(Outline)


def outline(text: bytes) -> Outline | None:
    """The outline of an object; None if it is none."""
    try:
        return _outline.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def is_settled(new: bytes, old: bytes | None) -> bool:
    """Whether an update is allowed whatever the object is: it is being deleted, or its spec stays as it is.

    Finalizers must come off, and labels and annotations may change, also where a newer rule would refuse the spec.
    """
    after = outline(new)
    if after is None:
        return False
    if after.is_deleting:
        return True
    before = outline(old) if old is not None else None
    return before is not None and bytes(before.spec) == bytes(after.spec)
