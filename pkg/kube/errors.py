"""The errors of API calls, one class per kind of reaction.

Callers decide by class, never by HTTP status: only this module knows how the API server spells each case. `translate`
is pure, so its test is a table of all cases.

| what came | error | what the caller does |
|---|---|---|
| no response, a broken one, 5xx, any other status | Transient | tries again with backoff; the call may have worked |
| a response that no API server writes (no `Status` object) | Unrecognized, a Transient | the same; proves nothing |
| 401 | Unauthorized, a Transient | the same; the client has renewed the credentials already |
| a denial by an admission webhook or policy, whatever the code | Denied, a Transient | tries again, slowly |
| 404 with the name of the object | NotFound | the object, or its namespace, does not exist |
| 404 of the API server, without a name | NotServed | asks `Discovery.is_gone`; proves nothing itself |
| 409 | Conflict or Exists | reads the object again |
| 409 of an apply, with the managers of fields | ApplyConflict, a Conflict | reports it |
| 410 | Gone | lists again |
| 429 | Throttled | waits |
| 403 | Forbidden or NamespaceTerminating | reports it |
| 400, 413, 415, 422; 500 because it is too large or unlike its schema | Refused | reports it: the object is at fault |
| the client is shutting down | Stopped | ends |

A missing resource type is special. Within a group that it serves, the API server answers 404 with a `Status` that has
the reason NotFound and no name. For any other path, so also after the last CRD of a group is deleted, it answers
`404 page not found` in plain text, exactly like many proxies do. `may_mean_not_served` covers both; neither is a proof.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec


class KubeError(Exception):
    """An API call failed.

    `status` is the HTTP status (None without an answer), `reason` the machine-readable word of the API server or of
    this client, `message` a sentence for people, `retry_after` the seconds that the server asked to wait (or None).
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
    """The object has changed since it was read, or a precondition of the write does not hold."""


class ApplyConflict(Conflict):
    """Server-side apply: other field managers own fields with other values. The message names managers and fields."""


class Exists(KubeError):
    """An object of that name already exists; GET shows its owner."""


class NotFound(KubeError):
    """There is no object, or namespace, of the name."""


class NotServed(KubeError):
    """The API server says that it does not serve the resource; it may later, once its CRD or API service exists.

    A proxy may say so too. It is no proof that an object is gone, hence no `NotFound`.
    """


class Gone(KubeError):
    """The resourceVersion or page token has expired: list again."""


class Throttled(KubeError):
    """The server is busy; `retry_after` holds the pause it asked for, if any."""


class Forbidden(KubeError):
    """Not allowed: a permission is missing, or a quota is used up."""


class NamespaceTerminating(KubeError):
    """The namespace is being deleted, so nothing can be created in it."""


class Refused(KubeError):
    """The object itself is invalid; the same request fails again."""


class Transient(KubeError):
    """A network, proxy or server fault; the call may have taken effect, and may succeed when repeated."""


class Unrecognized(Transient):
    """The response is no `Status` object: a proxy or load balancer wrote it, or the API server for an unknown path."""


class Unauthorized(Transient):
    """The server refused the credentials, also after they were renewed."""


class Denied(Transient):
    """An admission webhook or policy denied the request, whatever the HTTP status; it may admit it later."""


class Stopped(KubeError):
    """The client is shutting down: the call was cut or never started."""


class _Cause(msgspec.Struct, frozen=True):
    reason: str | None = ""
    message: str | None = ""
    field: str | None = ""


class _Details(msgspec.Struct, frozen=True, rename="camel"):
    name: str | None = ""
    kind: str | None = ""
    causes: tuple[_Cause, ...] | None = ()
    retry_after_seconds: float | None = None


class Status(msgspec.Struct, frozen=True):
    """The parts of a `metav1.Status` that distinguish failures."""

    kind: str = ""
    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None


_STATUS = msgspec.json.Decoder(Status)
# The API server puts these words before what a webhook or a policy says. Other messages may quote them further on.
_WEBHOOK = re.compile(r'admission webhook "[^"]*" denied the request(?:: | without explanation)')
_POLICY = re.compile(
    r"(?:\w*AdmissionPolicy|policy) (?:'[^']*'|\"[^\"]*\")(?: with binding '[^']*')? denied request: ", re.ASCII
)
# etcd, or the connection to it, takes no object of that size; or an object that is applied does not fit its schema.
_AT_FAULT = re.compile(
    r"etcdserver: request is too large|rpc error: code = \w+ desc = trying to send message larger than max"
    r"|failed to create typed patch object "
)
_MAX_MESSAGE = 2048
_QUOTED = 200
# Only the API server itself can say these; the other statuses mean the same whoever says them.
_OWN_WORD = frozenset({400, 403, 404, 409, 410, 413, 415, 422})
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


def gist(error: KubeError) -> str:
    """What an error says, without the words that may differ from call to call: times, ports, ids and numbers."""
    words = ["#" if any(map(str.isdigit, word)) else word for word in error.message.split()]
    return " ".join([type(error).__name__, str(error.status), error.reason, *words])


def translate(status: int, body: bytes, headers: Mapping[str, str]) -> KubeError:
    """The error that an HTTP answer means.

    `headers` are keyed in lower case. The body is a `metav1.Status` if the API server wrote it, and can be anything if
    a proxy did.
    """
    retry_after = _seconds(headers.get("retry-after"))
    try:
        decoded = _STATUS.decode(body)
    except (msgspec.DecodeError, RecursionError):
        decoded = Status()
    if decoded.kind == "Status":
        return from_status(decoded, status=status, retry_after=retry_after)
    text = body[:_MAX_MESSAGE].decode("utf-8", "replace").strip()[:_QUOTED]
    said = repr(text) if text else "it is empty"
    message = f"the response is HTTP {status} without a Status of the API server: {said}"
    if status in _OWN_WORD:
        return Unrecognized(message, status=status, reason="Unrecognized", retry_after=retry_after)
    # Only the status counts: what the text says may be anybody's.
    return _BY_STATUS.get(status, Transient)(message, status=status, retry_after=retry_after)


def may_mean_not_served(error: KubeError) -> bool:
    """Whether a 404 may mean that the API server does not serve the resource; `Discovery` finds out."""
    return isinstance(error, NotServed) or (isinstance(error, Unrecognized) and error.status == 404)


def from_status(found: Status, *, status: int | None = None, retry_after: float | None = None) -> KubeError:
    """The error that a `metav1.Status` means; the ERROR event of a watch carries one too."""
    code = status or found.code
    details = found.details
    if retry_after is None and details is not None:
        retry_after = _bounded(details.retry_after_seconds)
    message = found.message[:_MAX_MESSAGE] or f"the API server answered HTTP {code} without a message"
    return _class_of(code, found)(message, status=code or None, reason=found.reason, retry_after=retry_after)


def _class_of(code: int, found: Status) -> type[KubeError]:
    details = found.details or _Details()
    if _WEBHOOK.match(found.message) or any(_is_policy(cause, found.message) for cause in details.causes or ()):
        return Denied
    if code == 500 and _AT_FAULT.match(found.message):
        return Refused
    if code == 403 and any(cause.reason == "NamespaceTerminating" for cause in details.causes or ()):
        return NamespaceTerminating
    if code == 409 and found.reason == "AlreadyExists":
        return Exists
    if code == 409 and any(cause.reason == "FieldManagerConflict" for cause in details.causes or ()):
        return ApplyConflict
    if code == 409 and details.kind == "resourcequotas":
        # Two creations raced for the counter of the quota; the object itself has no conflict.
        return Transient
    if code == 404 and found.reason == "NotFound" and not details.name:
        return NotServed
    if found.reason in {"Expired", "Gone"}:
        return Gone
    return _BY_STATUS.get(code, Transient)


def _is_policy(cause: _Cause, message: str) -> bool:
    """Whether a cause is the denial of an admission policy, which is the message, too, behind the object's name.

    The causes of an invalid object have a reason and a field.
    """
    denial = cause.message or ""
    return not cause.reason and not cause.field and _POLICY.match(denial) is not None and message.endswith(denial)


def _seconds(value: str | None) -> float | None:
    """Seconds of a Retry-After header; the date form is ignored, because the API server never sends it."""
    try:
        seconds = float(value) if value else None
    except ValueError:
        return None
    return _bounded(seconds)


def _bounded(seconds: float | None) -> float | None:
    """A pause that a server may ask for, else None."""
    return seconds if seconds is not None and 0 <= seconds < 3600 else None
