"""Who is behind an object: the people whose rights the controller asks for before it creates a job. Pure.

The admission webhook records them in annotations of Workflows and WorkTemplates. Each holds user, groups, uid and extra
as the API server authenticated them, because all four may decide about a right. A person whose groups do not fit is
refused, never recorded in part: fewer groups could mean fewer rights, and also more, where a group takes rights away.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

#: Who created the object. It never changes.
CREATED_BY: Final = "flow.workflow.sh/created-by"
#: Who changed its spec last; at first who created it.
EDITED_BY: Final = "flow.workflow.sh/edited-by"
#: Of an object that the controller made as a job of a Workflow: everybody behind that Workflow and its template.
MADE_FOR: Final = "flow.workflow.sh/made-for"
ANNOTATIONS: Final = (CREATED_BY, EDITED_BY, MADE_FOR)

#: Bytes of one person as JSON: some 400 groups with names of 40 characters.
MAX_PERSON: Final = 16 * 1024
#: Bytes of MADE_FOR. All annotations of an object together may have 256 KiB.
MAX_MADE_FOR: Final = 64 * 1024
_MAX_TEXT: Final = 80
_MAX_GROUPS_SHOWN: Final = 2
_EXAMPLE: Final = '{"user": "alice", "groups": ["dev"]}'


class PeopleFault(ValueError):
    """A person cannot be recorded, or an annotation cannot be read; the message says why and what would be right."""


class _Written(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A person as JSON. What a later version adds may restrict rights, so unknown fields are faults."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, tuple[str, ...]] = {}


# Made here, when the module is imported, and not by the threads that use them.
_person: Final = msgspec.json.Decoder(_Written)
_persons: Final = msgspec.json.Decoder(tuple[_Written, ...])


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A user as the API server authenticated it. Equal persons have equal `text`, which is their JSON."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    text: str = field(default="", repr=False)

    @classmethod
    def of(
        cls,
        user: str,
        groups: Iterable[str] = (),
        uid: str = "",
        extra: Mapping[str, Iterable[str]] | None = None,
    ) -> Person:
        """A person with groups and extra in one order, each once."""
        ordered = {name: tuple(values) for name, values in sorted((extra or {}).items())}
        written = _Written(user, tuple(sorted(set(groups))), uid, ordered)
        text = msgspec.json.encode(written).decode()
        return cls(written.user, written.groups, uid, tuple(ordered.items()), text)

    def __hash__(self) -> int:
        return hash(self.text)  # a string keeps its hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Person) and other.text == self.text

    @property
    def shown(self) -> str:
        """The name for messages, bounded."""
        return shortened(self.user)


def shortened(text: str) -> str:
    """A name for messages: without control characters, and bounded."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in text[: _MAX_TEXT + 1])
    return plain if len(plain) <= _MAX_TEXT else plain[: _MAX_TEXT - 3] + "..."


def written(person: Person) -> str:
    """The text of an annotation that records a person. Raises PeopleFault if the person does not fit."""
    size = len(person.text.encode())
    if not person.user:
        raise PeopleFault("the API server does not say who sends the request, so nobody can be recorded for it")
    if size > MAX_PERSON:
        raise PeopleFault(
            f"{person.shown} cannot be recorded: user, {len(person.groups)} groups and extra have {size:,} bytes, and"
            f" {CREATED_BY} holds at most {MAX_PERSON:,}. Nothing is left out, because rights depend on all of them;"
            " apply it with an account that is in fewer groups, such as a ServiceAccount"
        )
    return person.text


@functools.lru_cache(maxsize=4096)
def read(text: str) -> Person:
    """The person in CREATED_BY or EDITED_BY. Raises PeopleFault."""
    if len(text) > MAX_PERSON:
        raise PeopleFault(f"has {len(text):,} characters, at most {MAX_PERSON:,} are allowed")
    return _checked(_decoded(_person, text))


@functools.lru_cache(maxsize=1024)
def read_made_for(text: str) -> tuple[Person, ...]:
    """The people in MADE_FOR; none if it is empty. Raises PeopleFault."""
    if not text:
        return ()
    if len(text) > MAX_MADE_FOR:
        raise PeopleFault(f"has {len(text):,} characters, at most {MAX_MADE_FOR:,} are allowed")
    return tuple(_checked(one) for one in _decoded(_persons, text))


def _decoded(decoder: msgspec.json.Decoder[Any], text: str) -> Any:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise PeopleFault(f"must be JSON such as {_EXAMPLE}: {error}") from error


def _checked(found: _Written) -> Person:
    if not found.user:
        raise PeopleFault(f'must name a user, such as {_EXAMPLE}: "user" is empty')
    return Person.of(found.user, found.groups, found.uid, found.extra)


def is_known(annotations: Mapping[str, str]) -> bool:
    """Whether the annotations name a creator and an editor."""
    return all(readable(annotations, name) is not None for name in (CREATED_BY, EDITED_BY))


def readable(annotations: Mapping[str, str], name: str) -> Person | None:
    """The person in one annotation; None if there is none, or it cannot be read."""
    try:
        return read(annotations[name]) if name in annotations else None
    except PeopleFault:
        return None


@dataclass(frozen=True, slots=True)
class Question:
    """May a person do something with the objects of a kind, or with the one of a name, in a namespace?"""

    person: Person
    group: str
    resource: str
    namespace: str
    verb: str = "create"
    #: Of the object; empty for any.
    name: str = ""

    @property
    def group_resource(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


@dataclass(frozen=True, slots=True)
class Behind:
    """A person, and for messages what they did: `created Workflow nightly`."""

    person: Person
    did: str


def behind_workflow(annotations: Mapping[str, str], name: str, kind: str = "Workflow") -> tuple[Behind, ...]:
    """Everybody whose rights a Workflow or CronWorkflow needs, each once. Raises PeopleFault if that is not known."""
    did = {CREATED_BY: f"created {kind} {name}", EDITED_BY: f"edited {kind} {name} last"}
    return _behind(annotations, did, f"is behind what made {kind} {name}")


def behind_template(annotations: Mapping[str, str], name: str) -> tuple[Behind, ...]:
    """Everybody whose rights a WorkTemplate needs, each once. Raises PeopleFault if that is not known."""
    did = {EDITED_BY: f"edited WorkTemplate {name} last"}
    return _behind(annotations, did, f"is behind what made WorkTemplate {name}")


def _behind(annotations: Mapping[str, str], did: Mapping[str, str], others: str) -> tuple[Behind, ...]:
    found: dict[Person, str] = {}
    for name, what in did.items():
        text = annotations.get(name)
        if text is None:
            raise PeopleFault("no admission webhook has recorded who created and edited it")
        found.setdefault(_named(name, read, text), what)
    for person in _named(MADE_FOR, read_made_for, annotations.get(MADE_FOR, "")):
        found.setdefault(person, others)
    return tuple(Behind(person, what) for person, what in found.items())


def _named(name: str, reader: Any, text: str) -> Any:
    try:
        return reader(text)
    except PeopleFault as error:
        raise PeopleFault(f"annotation {name} {error}") from error


def inherited(owner: Mapping[str, str], template: Mapping[str, str]) -> dict[str, str]:
    """The annotations of an object of our group that the controller makes for a Workflow, from those of the Workflow
    and of the template; none if the people behind one of them are not known. Raises PeopleFault if they do not fit.

    Who edited the template is behind the new object too, for the template is what it consists of.
    """
    try:
        people = [one.person for one in (*behind_workflow(owner, ""), *behind_template(template, ""))]
    except PeopleFault:
        return {}
    return _made_for(owner, people)


def of_run(cron: Mapping[str, str]) -> dict[str, str]:
    """The annotations of a run, from those of its CronWorkflow; none if the people behind that are not known.

    Raises PeopleFault if they do not fit.
    """
    try:
        people = [one.person for one in behind_workflow(cron, "")]
    except PeopleFault:
        return {}
    return _made_for(cron, people)


def _made_for(owner: Mapping[str, str], people: Iterable[Person]) -> dict[str, str]:
    text = f"[{','.join(person.text for person in dict.fromkeys(people))}]"
    if len(text.encode()) > MAX_MADE_FOR:
        raise PeopleFault(f"annotation {MADE_FOR} would have more than {MAX_MADE_FOR:,} bytes for the people behind it")
    return {CREATED_BY: owner[CREATED_BY], EDITED_BY: owner[EDITED_BY], MADE_FOR: text}


def refusal(behind: Behind, resource: str, namespace: str, verb: str = "create", name: str = "") -> str:
    """What a user reads when a right is missing: who, what, where, how to ask, and what to do.

    resource: `jobs.batch`, or `pods` of the core group; name: of the object, empty for any.
    """
    person = behind.person
    groups = [group for group in person.groups if not group.startswith("system:")]
    flags = "".join(f" --as-group {_quoted(group)}" for group in groups[:_MAX_GROUPS_SHOWN])
    flags += " ..." if len(groups) > _MAX_GROUPS_SHOWN else ""
    resource = f"{resource}/{shortened(name)}" if name else resource
    return (
        f"{person.shown} may not {verb} {resource} in namespace {namespace} (kubectl auth can-i {verb} {resource}"
        f" -n {namespace} --as {_quoted(person.user)}{flags}); {person.shown} {behind.did}"
    )


def _quoted(text: str) -> str:
    """A name as a word of a shell: it comes from elsewhere, and people copy the command."""
    return shlex.quote(shortened(text))
