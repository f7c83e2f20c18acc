"""AdmissionReviews as the API server sends them, malformed ones, and answers."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.webhooks.review import Answer, BadReview, Operation, Person, Request, decode, encode

WORKFLOW = {"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "Workflow", "metadata": {"name": "w"}, "spec": {}}


def review(**changes: Any) -> dict[str, Any]:
    """A review of a creation, as the API server sends it. A change of None leaves the field out."""
    request = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": {"group": "flow.workflow.sh", "version": "v1alpha1", "kind": "Workflow"},
        "resource": {"group": "flow.workflow.sh", "version": "v1alpha1", "resource": "workflows"},
        "requestKind": {"group": "flow.workflow.sh", "version": "v1alpha1", "kind": "Workflow"},
        "name": "w",
        "namespace": "team-a",
        "operation": "CREATE",
        "userInfo": {"username": "ann", "uid": "7", "groups": ["dev", "system:authenticated"], "extra": {"k": ["v"]}},
        "object": WORKFLOW,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        **changes,
    }
    request = {key: value for key, value in request.items() if value is not None}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def body(**changes: Any) -> bytes:
    return msgspec.json.encode(review(**changes))


def test_a_creation() -> None:
    assert decode(body()) == Request(
        uid="705ab4f5-6393-11e8-b7cc-42010a800002",
        operation=Operation.CREATE,
        kind="Workflow",
        namespace="team-a",
        name="w",
        person=Person("ann", ("dev", "system:authenticated"), "7", {"k": ("v",)}),
        object=msgspec.json.encode(WORKFLOW),
    )


def test_a_dry_run_of_an_update_of_a_template() -> None:
    kind = {"group": "flow.workflow.sh", "version": "v1alpha1", "kind": "WorkTemplate"}
    found = decode(body(operation="UPDATE", kind=kind, oldObject={"old": 1}, dryRun=True))
    assert (found.kind, found.operation, found.old_object, found.dry_run) == (
        "WorkTemplate",
        Operation.UPDATE,
        b'{"old":1}',
        True,
    )


def test_what_an_api_server_may_leave_out_reads_as_empty() -> None:
    found = decode(body(name=None, userInfo={"username": "ann", "groups": None, "extra": {"k": None}}, dryRun=None))
    assert (found.name, found.person, found.dry_run) == ("", Person("ann", extra={"k": ()}), False)


def test_a_deletion_has_the_old_object_alone() -> None:
    found = decode(body(operation="DELETE", object=None, oldObject=WORKFLOW))
    assert (found.object, found.old_object) == (None, msgspec.json.encode(WORKFLOW))


BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "the body: must be JSON: Input data was truncated"),
    "no JSON": (b"hello", "the body: must be JSON: JSON is malformed: invalid character (byte 0)"),
    "no UTF-8": (b'{"apiVersion": "\xff"}', "the body: must be"),
    "a list": (b"[]", "the body: Expected `object`, got `array`"),
    "no request": (
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}',
        "the body: Object missing required field `request`",
    ),
    "an old version": (
        msgspec.json.encode({**review(), "apiVersion": "admission.k8s.io/v1beta1"}),
        'apiVersion: must be admission.k8s.io/v1, not "admission.k8s.io/v1beta1"',
    ),
    "another kind of message": (
        msgspec.json.encode({**review(), "kind": "ConversionReview"}),
        'kind: must be AdmissionReview, not "ConversionReview"',
    ),
    "no uid": (body(uid=None), "request: Object missing required field `uid`"),
    "an empty uid": (body(uid=""), "request.uid: must have 1 to 256 characters, not 0"),
    "a uid of another type": (body(uid=7), "request.uid: Expected `str`, got `int`"),
    "a foreign kind": (
        body(kind={"group": "", "version": "v1", "kind": "Pod"}),
        'request.kind.group: must be flow.workflow.sh, not ""',
    ),
    "a version that is not served": (
        body(kind={"group": "flow.workflow.sh", "version": "v1", "kind": "Workflow"}),
        'request.kind.version: must be v1alpha1, not "v1"',
    ),
    "an operation that stores nothing": (
        body(operation="CONNECT"),
        'request.operation: must be CREATE or UPDATE or DELETE, not "CONNECT"',
    ),
    "a creation without its object": (body(object=None), "request.object: must be given for CREATE"),
    "an update without what it changes": (body(operation="UPDATE"), "request.oldObject: must be given for UPDATE"),
    "an object that is none": (body(object=[1]), "request.object: must be an object"),
    "groups that are no list": (
        body(userInfo={"username": "ann", "groups": "dev"}),
        "request.userInfo.groups: Expected `array | null`, got `str`",
    ),
    "brackets without an end": (
        b'{"apiVersion": "a", "kind": "b", "request": ' + b"[" * 100_000,
        "request: Expected `object`, got `array`",
    ),
    "an object that is nested too deeply": (
        body().replace(b'"spec":{}', b'"spec":' + b"[" * 100_000 + b"]" * 100_000),
        "the body: nested too deeply to be read",
    ),
}


@pytest.mark.parametrize(("sent", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_review_names_the_field(sent: bytes, message: str) -> None:
    with pytest.raises(BadReview) as raised:
        decode(sent)
    assert str(raised.value).startswith(message)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused_in_words(sent: bytes) -> None:
    with pytest.raises(BadReview):
        decode(sent)


def response(answer: Answer) -> dict[str, Any]:
    found = msgspec.json.decode(encode("u-1", answer))
    assert (found["apiVersion"], found["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    inner: dict[str, Any] = found["response"]
    assert inner.pop("uid") == "u-1"
    return inner


def test_an_answer_that_allows_says_no_more() -> None:
    assert response(Answer(allowed=True)) == {"allowed": True}


def test_a_refusal_has_its_reason_and_no_patch() -> None:
    answer = Answer(allowed=False, message="spec: no", code=422, patch=({"op": "test"},))
    status = {"status": "Failure", "message": "spec: no", "code": 422, "reason": "Invalid"}
    assert response(answer) == {"allowed": False, "status": status}


def test_a_patch_is_base64_of_a_json_patch() -> None:
    step = {"op": "add", "path": "/spec/x", "value": 1}
    found = response(Answer(allowed=True, patch=(step,)))
    assert found["patchType"] == "JSONPatch"
    assert msgspec.json.decode(base64.b64decode(found["patch"])) == [step]


def test_a_warning_has_no_characters_that_a_header_must_not_have() -> None:
    assert response(Answer(allowed=True, warnings=("a\r\nb", "\n"))) == {"allowed": True, "warnings": ["a b"]}
