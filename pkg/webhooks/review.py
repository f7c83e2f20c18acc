"""AdmissionReview v1: the bytes that the API server posts, and those of the answer, as frozen values.

Decoding is strict about what a handler relies on and ignores the rest, so that a newer API server may send more. The
objects inside stay bytes: whoever judges one decodes it once, into what it needs.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

from pkg.apis.flow.v1alpha1.types import GROUP, VERSION

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
KINDS: Final = ("Workflow", "WorkTemplate", "CronWorkflow")
_MAX_UID: Final = 256
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ABSENT: Final = Raw(b"")
_REASONS: Final = {403: "Forbidden", 409: "Conflict", 422: "Invalid", 503: "ServiceUnavailable"}

T = TypeVar("T")


class BadReview(ValueError):
    """The request is no AdmissionReview that can be answered; the message names the field and what would be right."""


class Operation(StrEnum):
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class Person:
    """Who sends the request to the API server, as it authenticated them."""

    username: str = ""
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """One object to be judged.

    kind: one of KINDS, always of our group and version; name: empty if the API server is to make one;
    object, old_object: JSON of the object as it would be stored, and as it is stored now. A creation has the first, an
    update both, a deletion the second; dry_run: nothing will be stored; subresource: empty for the object itself.
    """

    uid: str
    operation: Operation
    kind: str
    namespace: str
    name: str
    person: Person = Person()
    object: bytes | None = None
    old_object: bytes | None = None
    dry_run: bool = False
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The verdict on a request.

    message: why it is refused; code: the HTTP status of a refusal; warnings: lines that kubectl prints; patch: the
    steps of a JSON Patch (RFC 6902) to apply to the object.
    """

    allowed: bool
    message: str = ""
    code: int = 200
    warnings: tuple[str, ...] = ()
    patch: tuple[Mapping[str, Any], ...] = ()


ALLOWED: Final = Answer(allowed=True)


class _Kind(msgspec.Struct, frozen=True):
    group: str
    version: str
    kind: str


class _UserInfo(msgspec.Struct, frozen=True):
    username: str | None = None
    uid: str | None = None
    groups: tuple[str, ...] | None = None
    extra: dict[str, tuple[str, ...] | None] | None = None


class _Request(msgspec.Struct, frozen=True, rename="camel"):
    uid: str
    kind: _Kind
    operation: str
    namespace: str = ""
    name: str = ""
    user_info: _UserInfo = _UserInfo()
    object: Raw = _ABSENT
    old_object: Raw = _ABSENT
    dry_run: bool | None = None
    sub_resource: str = ""


class _Review(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    request: _Request


# Made here, when the module is imported, and not by the threads that use it.
_review: Final = msgspec.json.Decoder(_Review)
_OBJECTS: Final = {
    Operation.CREATE: (True, False),
    Operation.UPDATE: (True, True),
    Operation.DELETE: (False, True),
}


def decode(body: bytes) -> Request:
    """The request in an AdmissionReview. Raises BadReview."""
    try:
        review = _review.decode(body)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        raise BadReview(f"{place.strip('.`') or 'the body'}: {message}") from error
    except msgspec.DecodeError as error:
        raise BadReview(f"the body: must be JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise BadReview(f"the body: must be UTF-8: {error}") from error
    except RecursionError as error:
        raise BadReview("the body: nested too deeply to be read") from error
    _demand("apiVersion", review.api_version, API_VERSION)
    _demand("kind", review.kind, KIND)
    return _request(review.request)


def _request(found: _Request) -> Request:
    if not 0 < len(found.uid) <= _MAX_UID:
        raise BadReview(f"request.uid: must have 1 to {_MAX_UID} characters, not {len(found.uid)}")
    _demand("request.kind.group", found.kind.group, GROUP)
    _demand("request.kind.version", found.kind.version, VERSION)
    _demand("request.kind.kind", found.kind.kind, *KINDS)
    _demand("request.operation", found.operation, *Operation)
    operation = Operation(found.operation)
    needs_new, needs_old = _OBJECTS[operation]
    user = found.user_info
    return Request(
        uid=found.uid,
        operation=operation,
        kind=found.kind.kind,
        namespace=found.namespace,
        name=found.name,
        person=Person(
            username=user.username or "",
            groups=user.groups or (),
            uid=user.uid or "",
            extra={key: values or () for key, values in (user.extra or {}).items()},
        ),
        object=_object("request.object", found.object, operation, is_needed=needs_new),
        old_object=_object("request.oldObject", found.old_object, operation, is_needed=needs_old),
        dry_run=bool(found.dry_run),
        subresource=found.sub_resource,
    )


def _object(field: str, raw: Raw, operation: Operation, *, is_needed: bool) -> bytes | None:
    text = bytes(raw)
    if text in (b"", b"null"):
        if is_needed:
            raise BadReview(f"{field}: must be given for {operation}")
        return None
    if not text.startswith(b"{"):
        raise BadReview(f"{field}: must be an object")
    return text


def _demand(field: str, given: str, *allowed: str) -> None:
    if given not in allowed:
        raise BadReview(f'{field}: must be {" or ".join(allowed)}, not "{_CONTROL.sub(" ", given)[:64]}"')


def encode(request_uid: str, answer: Answer) -> bytes:
    """The body of the response: an AdmissionReview with the answer to the request of this uid.

    Characters that a warning must not have, because it travels in a header, become blanks.
    """
    response: dict[str, Any] = {"uid": request_uid, "allowed": answer.allowed}
    if not answer.allowed:
        status: dict[str, Any] = {"status": "Failure", "message": answer.message, "code": answer.code}
        if answer.code in _REASONS:
            status["reason"] = _REASONS[answer.code]
        response["status"] = status
    if warnings := [text for warning in answer.warnings if (text := _CONTROL.sub(" ", warning).strip())]:
        response["warnings"] = warnings
    if answer.allowed and answer.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(msgspec.json.encode(answer.patch)).decode("ascii")
    return msgspec.json.encode({"apiVersion": API_VERSION, "kind": KIND, "response": response})
