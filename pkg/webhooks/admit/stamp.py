"""What the annotations that say who is behind an object have to be, after each request. Pure.

What a client sends in them is replaced. On an object that has nobody, which is older than the webhook, a change of the
spec makes its author responsible, and so does any attempt to write one of the annotations: who only adds a label does
not answer for what others wrote. The controller's account records nobody new: what it makes for a Workflow has the
people of that Workflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec import Raw

from pkg.apis.flow.v1alpha1 import meaning, people
from pkg.apis.flow.v1alpha1.people import ANNOTATIONS, CREATED_BY, EDITED_BY, MADE_FOR, PeopleFault, Person
from pkg.apis.flow.v1alpha1.types import GROUP, CronWorkflowSpec, WorkflowSpec, WorkTemplateSpec
from pkg.apis.meta import OwnerReference
from pkg.webhooks.review import Operation, Request

_OWNERS: Final = ("Workflow", "CronWorkflow")


class _Meta(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    annotations: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None
    deletion_timestamp: str | None = None


class Seen(msgspec.Struct, frozen=True):
    """The parts of an object that are read here."""

    metadata: _Meta = _Meta()
    spec: Raw = Raw(b"null")

    @property
    def notes(self) -> Mapping[str, str]:
        return self.metadata.annotations or {}

    @property
    def is_deleting(self) -> bool:
        return self.metadata.deletion_timestamp is not None


@dataclass(frozen=True, slots=True)
class Owner:
    """The Workflow or CronWorkflow that owns a new object: its annotations, or why it does not count."""

    notes: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The annotations as they have to be: None where there must be none. fault: why the request cannot be recorded.

    is_edit: the request makes the object, or changes its spec; then its author is the last editor.
    """

    values: Mapping[str, str | None]
    is_edit: bool = False
    fault: str = ""


_seen: Final = msgspec.json.Decoder(Seen)
_SPECS: Final[Mapping[str, msgspec.json.Decoder[Any]]] = {
    "Workflow": msgspec.json.Decoder(WorkflowSpec),
    "WorkTemplate": msgspec.json.Decoder(WorkTemplateSpec),
    "CronWorkflow": msgspec.json.Decoder(CronWorkflowSpec),
}


def see(text: bytes | None) -> Seen:
    """The parts of an object that are read here. Raises PeopleFault if they cannot be read."""
    try:
        return _seen.decode(text or b"{}")
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise PeopleFault(f"the object cannot be read: {error}") from error


def person_of(request: Request) -> Person:
    """Who sends the request."""
    sent = request.person
    return Person.of(sent.username, sent.groups, sent.uid, sent.extra)


def owner_of(request: Request, controller: str) -> OwnerReference | None:
    """The Workflow or CronWorkflow that a new object of the controller says it is made for; None for every other one.

    controller: the user name of the controller's account.
    """
    if request.operation is not Operation.CREATE or request.person.username != controller:
        return None
    try:
        references = see(request.object).metadata.owner_references or ()
    except PeopleFault:
        return None
    return next((one for one in references if one.controller and _is_owner(one)), None)


def _is_owner(reference: OwnerReference) -> bool:
    return reference.api_version.partition("/")[0] == GROUP and reference.kind in _OWNERS


def stamp(request: Request, controller: str, owner: Owner | None = None) -> Stamp:
    """What the annotations have to be after this request. owner: what is known of `owner_of(request)`."""
    try:
        new = see(request.object)
        if request.operation is Operation.CREATE:
            if request.person.username == controller:
                return _made(new, owner)
            text = people.written(person_of(request))
            return Stamp({CREATED_BY: text, EDITED_BY: text, MADE_FOR: None}, is_edit=True)
        return _updated(request, see(request.old_object), new, is_controller=request.person.username == controller)
    except PeopleFault as error:
        return Stamp(dict.fromkeys(ANNOTATIONS), fault=str(error))


def _made(new: Seen, owner: Owner | None) -> Stamp:
    """Of a new object of the controller: the people of what it is made for."""
    if owner is None or owner.fault:
        fault = (
            owner.fault
            if owner is not None
            else "no Workflow or CronWorkflow owns it, so nobody would be responsible for it"
        )
        return Stamp(dict.fromkeys(ANNOTATIONS), fault=f"the controller may not create this: {fault}")
    if not people.is_known(owner.notes) or MADE_FOR not in new.notes:
        return Stamp(dict.fromkeys(ANNOTATIONS))  # nobody is known, and its jobs wait
    made_for = set(people.read_made_for(new.notes[MADE_FOR]))
    needed = {people.read(owner.notes[CREATED_BY]), *people.read_made_for(owner.notes.get(MADE_FOR, ""))}
    values = {name: owner.notes[name] for name in (CREATED_BY, EDITED_BY)}
    if missing := sorted(person.shown for person in needed - made_for):
        fault = f"annotation {MADE_FOR} lacks {missing[0]}, who is behind what owns it"
        return Stamp({**values, MADE_FOR: None}, fault=fault)
    return Stamp({**values, MADE_FOR: new.notes[MADE_FOR]}, is_edit=True)


def _updated(request: Request, old: Seen, new: Seen, *, is_controller: bool) -> Stamp:
    kept = {name: old.notes.get(name) for name in ANNOTATIONS}
    is_edit = not is_same_spec(request.kind, old.spec, new.spec)
    if is_controller:
        return Stamp(kept)
    is_claim = any(new.notes.get(name) != old.notes.get(name) for name in ANNOTATIONS)
    if not is_edit and (people.is_known(old.notes) or not is_claim):
        return Stamp(kept)
    try:
        text = people.written(person_of(request))
    except PeopleFault as error:
        return Stamp(kept, is_edit, str(error))
    creator = people.readable(old.notes, CREATED_BY)
    return Stamp({**kept, CREATED_BY: old.notes[CREATED_BY] if creator else text, EDITED_BY: text}, is_edit=True)


def is_same_spec(kind: str, old: Raw, new: Raw) -> bool:
    """Whether two specs mean the same, so that a default that is written out, or another order of keys, is no edit.

    Nor is an entry of spec.approvals one.
    """
    if bytes(old) == bytes(new):
        return True
    try:
        before, after = (_SPECS[kind].decode(text) for text in (old, new))
        if isinstance(before, WorkflowSpec) and isinstance(after, WorkflowSpec):
            # Who approves does not answer for what the workflow makes.
            return meaning.is_same_spec(msgspec.structs.replace(before, approvals=after.approvals), after)
        return meaning.is_same(meaning.meaning(before), meaning.meaning(after))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def steps(request: Request, wanted: Stamp) -> tuple[Mapping[str, Any], ...]:
    """The JSON Patch that makes the annotations of the object what they have to be; empty where they are that."""
    try:
        meta = see(request.object).metadata
    except PeopleFault:
        return ()
    has = meta.annotations or {}
    values = {name: text for name, text in wanted.values.items() if text is not None}
    if meta.annotations is None:
        return ({"op": "add", "path": "/metadata/annotations", "value": values},) if values else ()
    found: list[Mapping[str, Any]] = []
    for name in ANNOTATIONS:
        path, text = f"/metadata/annotations/{name.replace('/', '~1')}", wanted.values[name]
        if text is None and name in has:
            found.append({"op": "remove", "path": path})
        elif text is not None and has.get(name) != text:
            found.append({"op": "replace" if name in has else "add", "path": path, "value": text})
    return tuple(found)


def mismatch(request: Request, wanted: Stamp) -> str:
    """Why the object may not be stored with the annotations that it has; empty if it may."""
    if wanted.fault:
        return wanted.fault
    try:
        has = see(request.object).notes
    except PeopleFault as error:
        return str(error)
    wrong = [name for name in ANNOTATIONS if has.get(name) != wanted.values[name]]
    if not wrong:
        return ""
    return (
        f"metadata.annotations: {wrong[0]} is not what the webhook mutate.flow.workflow.sh writes for this request;"
        " either it was not asked, or another mutating webhook came after it: kubectl get mutatingwebhookconfigurations"
    )
