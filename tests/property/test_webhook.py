"""AdmissionReviews of garbage, through TLS and HTTP: always a valid answer, never an HTTP error, and flat memory."""

from __future__ import annotations

import base64
import gc
import http.client
import json
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.webhooks.handlers import EmptyCatalogue, Handlers, Nobody
from tests.unit.webhooks.server.serving import Serving, review, serving

EXAMPLES = settings.default.max_examples if settings.default else 500
pytestmark = pytest.mark.timeout(max(300, EXAMPLES))

_texts = st.text(max_size=20) | st.sampled_from(["Workflow", "WorkTemplate", "CREATE", "UPDATE", "{{params.x}}", "a"])
_scalars = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | _texts
_keys = _texts | st.sampled_from(
    ["metadata", "name", "spec", "flows", "dependsOn", "targets", "probe", "for", "replicas", "retry", "patch", "gvr"]
)
_json = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4))
_flow = st.dictionaries(
    st.sampled_from(["name", "template", "dependsOn", "for", "retry", "patch", "parameters", "timeout", "finally"]),
    _json,
    max_size=5,
)
_spec = _json | st.fixed_dictionaries({"flows": st.lists(_flow | _json, max_size=4)}, optional={"successPolicy": _json})
_object = _json | st.fixed_dictionaries({"metadata": _json, "spec": _spec}, optional={"status": _json, "kind": _json})


def _kind(kind: str) -> dict[str, str]:
    return {"group": "flow.workflow.sh", "version": "v1alpha1", "kind": kind}


_request = st.fixed_dictionaries(
    {"object": _object},
    optional={
        "oldObject": _object,
        "operation": st.sampled_from(["CREATE", "UPDATE", "DELETE"]) | _json,
        "kind": st.sampled_from(("Workflow", "WorkTemplate")).map(_kind) | _json,
        "uid": st.just("u") | _json,
        "userInfo": _json,
        "name": _json,
        "namespace": _json,
        "dryRun": _json,
        "subResource": _json,
    },
)
_reviews = st.binary(max_size=200) | _json.map(lambda value: json.dumps(value).encode())


def _review(fields: dict[str, Any]) -> bytes:
    return review(**fields)


_bodies = _request.map(_review) | _reviews


Client = tuple[Serving, http.client.HTTPSConnection]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A server, and a connection to it that is kept."""
    handlers = Handlers(EmptyCatalogue(), Nobody())
    with serving({"/validate": handlers.validate, "/mutate": handlers.mutate}) as server:
        made = server.client()
        yield server, made
        made.close()


def ask(client: http.client.HTTPSConnection, path: str, body: bytes) -> None:
    """Asserts that the answer is one that the API server takes."""
    client.request("POST", path, body, {"Content-Type": "application/json"})
    answer = client.getresponse()
    text = answer.read()
    assert answer.status == 200
    found: dict[str, Any] = json.loads(text)
    assert (found["apiVersion"], found["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = found["response"]
    assert isinstance(response["uid"], str)
    if response["allowed"]:
        assert "patch" not in response or isinstance(json.loads(base64.b64decode(response["patch"])), list)
    else:
        assert 400 <= response["status"]["code"] < 500, response
        assert response["status"]["message"]


@given(st.sampled_from(["/validate", "/mutate"]), _bodies)
def test_garbage_gets_a_valid_answer(client: Client, path: str, body: bytes) -> None:
    ask(client[1], path, body)


def test_memory_is_flat(client: Client) -> None:
    """The same requests again and again leave nothing behind."""
    flows = [{"name": "a"}] * 20
    bodies = [review(f"u-{number}", object={"spec": {"flows": flows[:number]}}) for number in range(20)]
    bodies += [b"{" * number for number in range(20)]

    def after_a_round() -> int:
        for body in bodies:
            for path in ("/validate", "/mutate"):
                ask(client[1], path, body)
        client[0].counted.answers.clear()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        after_a_round()
        sizes = [after_a_round() for _ in range(8)]
    finally:
        tracemalloc.stop()
    # A table of the interpreter grows in one round. A leak grows in each.
    grown = min(later - earlier for earlier, later in pairwise(sizes))
    assert grown < 1024, f"each round of 80 requests leaves {grown} bytes at least: {sizes}"
