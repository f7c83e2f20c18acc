"""Answers that are what was asked for, and answers that are something else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.apis.meta import Job, PartialObject
from pkg.kube.answers import document_of, object_of
from pkg.kube.errors import KubeError, Transient, Unrecognized
from pkg.kube.transport import Request

REQUEST = Request("get", "jobs.batch", "GET", "/apis/batch/v1/namespaces/ns/jobs/a")
JOB = b'{"kind":"Job","metadata":{"name":"a"},"status":{"active":1}}'


class Brief(msgspec.Struct):
    """A type without metadata; the name is read on its own."""

    kind: str = ""


@pytest.mark.parametrize(
    ("type_", "found"),
    [
        pytest.param(bytes, JOB, id="as it came"),
        pytest.param(dict, msgspec.json.decode(JOB), id="any JSON"),
        pytest.param(Brief, Brief("Job"), id="a type without metadata"),
        pytest.param(Job, msgspec.json.decode(JOB, type=Job), id="a job"),
        pytest.param(PartialObject, msgspec.json.decode(JOB, type=PartialObject), id="metadata"),
    ],
)
@pytest.mark.parametrize("name", ["a", ""], ids=["of a known name", "of any name"])
def test_an_object_is_read_as(type_: type[Any], found: object, name: str) -> None:
    assert object_of(JOB, type_, REQUEST, name) == found


@pytest.mark.parametrize("type_", [bytes, dict, Brief, Job])
@pytest.mark.parametrize(
    ("body", "name", "error", "message"),
    [
        pytest.param(JOB, "b", Unrecognized, "not the object 'b'", id="another object"),
        pytest.param(b'{"metadata":{}}', "", Unrecognized, "no object with a name", id="no name"),
        pytest.param(b"[]", "a", Transient, "cannot be decoded", id="a list"),
        pytest.param(b"", "a", Transient, "cannot be decoded", id="nothing"),
    ],
)
def test_what_is_not_the_object_is_an_error(
    type_: type[Any], body: bytes, name: str, error: type[KubeError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        object_of(body, type_, REQUEST, name)
    assert str(REQUEST) in str(caught.value)


def test_a_document_needs_no_name() -> None:
    assert document_of(b'{"gitVersion":"v1"}', dict, REQUEST) == {"gitVersion": "v1"}
    assert document_of(b"[1]", bytes, REQUEST) == b"[1]"
