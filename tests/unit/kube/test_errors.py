"""The error class of each response."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.kube.errors import (
    Conflict,
    Denied,
    Exists,
    Forbidden,
    Gone,
    KubeError,
    NamespaceTerminating,
    NotFound,
    NotServed,
    Refused,
    Status,
    Throttled,
    Transient,
    Unauthorized,
    Unrecognized,
    from_status,
    gist,
    may_mean_not_served,
    translate,
)

WEBHOOK = 'admission webhook "policy.example.com" denied the request: no'
POLICY = "ValidatingAdmissionPolicy 'want-team' with binding 'want-team' denied request: jobs carry a label team"
QUOTED = f'Job.batch "a" is invalid: spec.x: Invalid value: "{WEBHOOK}": must be a number'


def invalid(cause: str) -> dict[str, Any]:
    """The answer to an invalid object, one of whose fields holds the text."""
    causes = [{"reason": "FieldValueInvalid", "message": cause, "field": "spec.x"}]
    return {"reason": "Invalid", "message": f'Job.batch "a" is invalid: spec.x: {cause}', "details": {"causes": causes}}


def denial(reason: str, policy: str = POLICY, before: str = 'jobs.batch "a" is forbidden: ') -> dict[str, Any]:
    """The answer to an object that an admission policy denies."""
    return {"reason": reason, "message": before + policy, "details": {"name": "a", "causes": [{"message": policy}]}}


TERMINATING = {
    "details": {"causes": [{"reason": "NamespaceTerminating", "message": "namespace x is being terminated"}]}
}

ANSWERS: dict[str, tuple[int, dict[str, Any], type[KubeError]]] = {
    "400 is the object's fault": (400, {"reason": "BadRequest"}, Refused),
    "401 may pass when credentials rotate": (401, {"reason": "Unauthorized"}, Unauthorized),
    "403 is missing permission": (403, {"reason": "Forbidden", "message": "cannot create jobs"}, Forbidden),
    "403 of a quota": (403, {"reason": "Forbidden", "message": "exceeded quota: small"}, Forbidden),
    "403 in a namespace that goes away": (403, {"reason": "Forbidden", **TERMINATING}, NamespaceTerminating),
    "404 of an object": (404, {"reason": "NotFound", "details": {"name": "a", "kind": "jobs"}}, NotFound),
    "404 of a resource that is not served": (404, {"reason": "NotFound", "details": {}}, NotServed),
    "404 of a resource, without details": (404, {"reason": "NotFound"}, NotServed),
    "404 for another reason": (404, {"reason": "Odd"}, NotFound),
    "405 may be a server that is starting": (405, {"reason": "MethodNotAllowed"}, Transient),
    "409 of a write on an old version": (409, {"reason": "Conflict"}, Conflict),
    "409 of a name that is taken": (409, {"reason": "AlreadyExists"}, Exists),
    "409 of two creations that met in the quota": (
        409,
        {"reason": "Conflict", "details": {"kind": "resourcequotas"}},
        Transient,
    ),
    "410": (410, {"reason": "Expired"}, Gone),
    "410 without a reason": (410, {}, Gone),
    "413 is the object's fault": (413, {"reason": "RequestEntityTooLarge"}, Refused),
    "415 is the object's fault": (415, {"reason": "UnsupportedMediaType"}, Refused),
    "422 is the object's fault": (422, {"reason": "Invalid", "details": {"causes": None}}, Refused),
    "429": (429, {"reason": "TooManyRequests"}, Throttled),
    "500": (500, {"reason": "InternalError"}, Transient),
    "503": (503, {"reason": "ServiceUnavailable"}, Transient),
    "504": (504, {"reason": "Timeout"}, Transient),
    "a webhook that denies with 403": (403, {"reason": "Forbidden", "message": WEBHOOK}, Denied),
    "a webhook that denies with 400": (400, {"reason": "BadRequest", "message": WEBHOOK}, Denied),
    "a webhook that denies with 409": (409, {"reason": "AlreadyExists", "message": WEBHOOK}, Denied),
    "a webhook that denies with 422": (422, {"reason": "Invalid", "message": WEBHOOK}, Denied),
    "a webhook that denies with 401": (401, {"reason": "Unauthorized", "message": WEBHOOK}, Denied),
    "a webhook that does not say why": (
        400,
        {"message": 'admission webhook "policy.example.com" denied the request without explanation'},
        Denied,
    ),
    "a webhook that denies in the words of an invalid object": (
        422,
        {**invalid("no"), "message": f"{WEBHOOK}: {QUOTED}"},
        Denied,
    ),
    "an invalid value that quotes a webhook": (422, invalid(f'Invalid value: "{WEBHOOK}"'), Refused),
    "an invalid value that quotes a policy": (422, invalid(POLICY), Refused),
    "an invalid object without causes whose message quotes a webhook": (422, {"message": QUOTED}, Refused),
    "an unknown field that quotes a policy": (
        400,
        {"reason": "BadRequest", "message": f'strict decoding error: unknown field "{POLICY}"'},
        Refused,
    ),
    "403 that quotes a webhook": (403, {"reason": "Forbidden", "message": f"cannot create {WEBHOOK}"}, Forbidden),
    "a policy that denies with 422": (422, denial("Invalid"), Denied),
    "a policy that denies with 403": (403, denial("Forbidden"), Denied),
    "a policy that denies with 413": (413, denial("RequestEntityTooLarge"), Denied),
    "a policy that denies with 400": (400, denial("BadRequest"), Denied),
    "a policy that denies with 401": (401, denial("Unauthorized"), Denied),
    "a policy that cannot be evaluated": (
        422,
        denial("Invalid", "ValidatingAdmissionPolicy 'a' denied request: failed to configure policy: no"),
        Denied,
    ),
    "a mutating policy": (403, denial("Forbidden", "policy 'a' with binding 'b' denied request: no", ""), Denied),
    "a mutating policy without a binding": (403, denial("Forbidden", 'policy "a" denied request: no', ""), Denied),
    "an object too large for etcd": (500, {"message": "etcdserver: request is too large"}, Refused),
    "an object too large for the connection to etcd": (
        500,
        {"message": "rpc error: code = ResourceExhausted desc = trying to send message larger than max (3 vs. 2)"},
        Refused,
    ),
    "an applied object with a field that its schema does not have": (
        500,
        {"message": "failed to create typed patch object (a/b; /v1, Kind=Pod): .dat: field not declared in schema"},
        Refused,
    ),
    "500 of a webhook that quotes etcd": (
        500,
        {"message": 'failed calling webhook "a": etcdserver: request is too large'},
        Transient,
    ),
    "a webhook that cannot be reached": (500, {"message": 'failed calling webhook "a": connection refused'}, Transient),
}


@pytest.mark.parametrize(("code", "status", "expected"), ANSWERS.values(), ids=ANSWERS.keys())
def test_translate(code: int, status: dict[str, Any], expected: type[KubeError]) -> None:
    body = msgspec.json.encode({"kind": "Status", "code": code, **status})
    error = translate(code, body, {})
    assert type(error) is expected
    assert error.status == code
    assert error.reason == status.get("reason", "")


BODIES: dict[str, tuple[bytes, str]] = {
    "no body": (b"", "it is empty"),
    "a page of a proxy": (b"<html>Bad Gateway</html>\n", "'<html>Bad Gateway</html>'"),
    "JSON that is no Status": (b"[1]", "'[1]'"),
    "bytes that are no text": (b"\xff", "'�'"),
}


@pytest.mark.parametrize(("body", "message"), BODIES.values(), ids=BODIES.keys())
def test_an_answer_that_is_not_the_api_servers_own(body: bytes, message: str) -> None:
    error = translate(502, body, {})
    said = f"the response is HTTP 502 without a Status of the API server: {message}"
    assert (type(error), error.message) == (Transient, said)


HTML = b"<html><body>no such page</body></html>"
FOREIGN: dict[str, tuple[int, bytes, type[KubeError]]] = {
    **{f"{code} in HTML": (code, HTML, Unrecognized) for code in (400, 403, 404, 409, 410, 413, 415, 422)},
    "404 in plain text": (404, b"404 page not found\n", Unrecognized),
    "404 without a body": (404, b"", Unrecognized),
    "404 in JSON of another shape": (404, b'{"error": "no route"}', Unrecognized),
    "404 of another kind": (404, b'{"kind": "Problem", "reason": "NotFound"}', Unrecognized),
    "404 nested deeper than a decoder goes": (404, b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", Unrecognized),
    "401 of a gateway": (401, HTML, Unauthorized),
    "429 of the API server's own filter": (429, b"Too many requests, please try again later.", Throttled),
    "500 of a crash": (500, b"This request caused apiserver to panic.", Transient),
    "500 in the words of etcd": (500, b"etcdserver: request is too large", Transient),
    "502": (502, HTML, Transient),
    "301": (301, HTML, Transient),
}


@pytest.mark.parametrize(("code", "body", "expected"), FOREIGN.values(), ids=FOREIGN.keys())
def test_what_is_no_status_is_never_a_fact(code: int, body: bytes, expected: type[KubeError]) -> None:
    error = translate(code, body, {"content-type": "text/html"})
    assert type(error) is expected
    assert error.status == code
    assert isinstance(error, Transient | Throttled)


def test_the_message_about_a_foreign_response_quotes_it_and_says_whose_it_is_not() -> None:
    error = translate(422, HTML * 100, {})
    assert "without a Status of the API server" in error.message
    assert "no such page" in error.message
    assert len(error.message) < 400


MISSING: dict[str, tuple[KubeError, bool]] = {
    "the API server's own word": (NotServed("x", status=404), True),
    "a 404 that anything may have written": (Unrecognized("x", status=404), True),
    "another foreign response": (Unrecognized("x", status=422), False),
    "a missing object": (NotFound("x", status=404), False),
    "no response": (Transient("x"), False),
}


@pytest.mark.parametrize(("error", "expected"), MISSING.values(), ids=MISSING.keys())
def test_may_mean_not_served(error: KubeError, expected: bool) -> None:
    assert may_mean_not_served(error) is expected


RETRY_AFTER: dict[str, tuple[dict[str, str], dict[str, Any], float | None]] = {
    "a header": ({"retry-after": "3"}, {}, 3.0),
    "the details": ({}, {"details": {"retryAfterSeconds": 2}}, 2.0),
    "the header before the details": ({"retry-after": "3"}, {"details": {"retryAfterSeconds": 2}}, 3.0),
    "a date, which is not read": ({"retry-after": "Sun, 22 Nov 2026 10:00:00 GMT"}, {}, None),
    "nonsense": ({"retry-after": "-1"}, {}, None),
    "nonsense in the details": ({}, {"details": {"retryAfterSeconds": -1}}, None),
    "a day, which nobody waits for": ({}, {"details": {"retryAfterSeconds": 86400}}, None),
    "nothing": ({}, {}, None),
}


@pytest.mark.parametrize(("headers", "status", "seconds"), RETRY_AFTER.values(), ids=RETRY_AFTER.keys())
def test_retry_after(headers: dict[str, str], status: dict[str, Any], seconds: float | None) -> None:
    assert translate(429, msgspec.json.encode({"kind": "Status", **status}), headers).retry_after == seconds


def test_an_error_reads_as_a_sentence_with_its_code() -> None:
    assert (
        str(NotFound('jobs "a" not found', status=404, reason="NotFound")) == 'jobs "a" not found (NotFound, HTTP 404)'
    )
    assert str(Transient("cut")) == "cut"


def test_the_error_event_of_a_watch_is_read_the_same_way() -> None:
    error = from_status(Status(code=410, reason="Expired", message="too old resource version"))
    assert (type(error), error.status) == (Gone, 410)


def test_a_message_is_cut_to_what_a_status_can_hold() -> None:
    body = msgspec.json.encode({"kind": "Status", "message": "x" * 100_000})
    assert len(translate(500, body, {}).message) == 2048


def test_that_a_kind_is_not_served_says_nothing_about_an_object() -> None:
    assert not issubclass(NotServed, NotFound)
    assert not issubclass(NotFound, NotServed)


@pytest.mark.parametrize(
    ("one", "other", "is_alike"),
    [
        pytest.param("read tcp 10.0.0.1:51234: i/o timeout", "read tcp 10.0.0.2:9: i/o timeout", True, id="ports"),
        pytest.param("no answer in 1.5s (id a1-b2)", "no answer in 30s (id c3-d4)", True, id="times and ids"),
        pytest.param("no route to host", "connection refused", False, id="other words"),
    ],
)
def test_errors_are_alike_whose_texts_differ_in_times_and_ids_alone(one: str, other: str, is_alike: bool) -> None:
    assert (gist(Transient(one)) == gist(Transient(other))) is is_alike


@pytest.mark.parametrize(
    "other",
    [Forbidden("no", status=403, reason="Forbidden"), Transient("no", status=503), Transient("no", reason="Timeout")],
    ids=["another class", "another status", "another reason"],
)
def test_errors_with_the_same_words_may_be_different(other: KubeError) -> None:
    assert gist(Transient("no")) != gist(other)
