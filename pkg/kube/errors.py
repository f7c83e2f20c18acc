"""Our names for what an API call can end with.

The reconcilers decide by class, never by a status code: this module is the one place that knows how the API server
spells each case. `translate` is pure, so the whole taxonomy is a table in its test.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class KubeError(Exception):
    """An API call that did not succeed.

    `status` is the HTTP status (None if no answer came), `reason` the machine-readable word of the API server or of
    this client, `message` a sentence for people, `retry_after` the seconds that the server asked to wait, if it did.
    """

    def __init__(
        self, message: str, *, status: int | None = None, reason: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    def __str__(self) -> str:
        tags = [tag for tag in (self.reason, f"HTTP {self.status}" if self.status else "") if tag]
        return f"{self.message} ({', '.join(tags)})" if tags else self.message


class Conflict(KubeError):
    """The object changed since the version that the write was computed from, or its precondition does not hold."""


class Exists(KubeError):
    """An object of that name is already there; whose it is, only a GET can tell."""


class NotFound(KubeError):
    """No such object, namespace or kind."""


class NotServed(NotFound):
    """The API server does not serve that kind; it may later, once its CRD or API service is there."""


class Gone(KubeError):
    """The version or page token is too old for the server: list again."""


class Throttled(KubeError):
    """The server is busy; `retry_after` says for how long, if it said so."""


class Forbidden(KubeError):
    """Not allowed: missing permissions, or a quota that is used up."""


class NamespaceTerminating(KubeError):
    """The namespace is on its way out, so nothing new can be made in it."""


class Refused(KubeError):
    """The object itself is wrong; sending it again cannot help."""


class Transient(KubeError):
    """Something between here and the store failed; the same call may work later, and may have had its effect."""


class Unauthorized(Transient):
    """The credentials were not accepted, even after they were read again."""


class Denied(Transient):
    """An admission webhook said no, under whatever code; it may say yes later."""


class Stopped(KubeError):
    """The call was not started, or was cut, because this client is shutting down."""


class _Cause(msgspec.Struct, frozen=True):
    reason: str | None = ""


class _Details(msgspec.Struct, frozen=True, rename="camel"):
    kind: str | None = ""
    causes: tuple[_Cause, ...] | None = ()
    retry_after_seconds: float | None = None


class Status(msgspec.Struct, frozen=True):
    """The parts of a `metav1.Status` that tell one failure from another."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None


_STATUS = msgspec.json.Decoder(Status)
_WEBHOOK = "admission webhook"
_MAX_MESSAGE = 2048
_BY_STATUS: Mapping[int, type[KubeError]] = {
    400: Refused,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: Refused,
    415: Refused,
    422: Refused,
    429: Throttled,
}


def translate(status: int, body: bytes, headers: Mapping[str, str]) -> KubeError:
    """The error that an HTTP answer means.

    `headers` are keyed in lower case. The body is a `metav1.Status` when the API server itself wrote it, and anything
    at all when a proxy did.
    """
    try:
        decoded = _STATUS.decode(body)
    except msgspec.DecodeError:
        decoded = Status(message=body[:_MAX_MESSAGE].decode("utf-8", "replace").strip())
    return from_status(decoded, status=status, retry_after=_seconds(headers.get("retry-after")))


def from_status(found: Status, *, status: int | None = None, retry_after: float | None = None) -> KubeError:
    """The error that a `metav1.Status` means, also one that came as the ERROR event of a watch."""
    code = status or found.code
    details = found.details
    if retry_after is None and details is not None:
        retry_after = details.retry_after_seconds
    message = found.message[:_MAX_MESSAGE] or f"the API server answered {code} and gave no message"
    return _class_of(code, found)(message, status=code or None, reason=found.reason, retry_after=retry_after)


def _class_of(code: int, found: Status) -> type[KubeError]:
    if _WEBHOOK in found.message:
        return Denied
    details = found.details or _Details()
    if code == 403 and any(cause.reason == "NamespaceTerminating" for cause in details.causes or ()):
        return NamespaceTerminating
    if code == 409 and found.reason == "AlreadyExists":
        return Exists
    if code == 409 and details.kind == "resourcequotas":
        # Two creations raced for the quota's own counter: it says nothing about the object that was sent.
        return Transient
    if found.reason in {"Expired", "Gone"}:
        return Gone
    return _BY_STATUS.get(code, Transient)


def _seconds(value: str | None) -> float | None:
    """Seconds of a Retry-After header; its other form, a date, is not used by the API server and is ignored."""
    try:
        seconds = float(value) if value else None
    except ValueError:
        return None
    return seconds if seconds is not None and 0 <= seconds < 3600 else None
