"""The client against a scripted server."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from pkg.apis.meta import GVR, Job, PartialObject
from pkg.kube import client as client_module
from pkg.kube.client import JSON_PATCH, Client
from pkg.kube.config import ClientConfig
from pkg.kube.credentials import Static
from pkg.kube.errors import (
    Denied,
    Exists,
    KubeError,
    NotServed,
    Refused,
    Stopped,
    Transient,
    Unauthorized,
    Unrecognized,
)
from pkg.kube.transport import Request
from tests.unit.kube.conftest import Certificate
from tests.unit.kube.server import Peer, Received, Script, Server

JOBS = GVR("batch", "v1", "jobs")
JOB = b'{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a","uid":"u1","resourceVersion":"7"},"status":{}}'


@contextmanager
def talking_to(script: Script, **options: Any) -> Iterator[tuple[Client, Server]]:
    with Server(script) as server:
        client = Client(ClientConfig(server.url), user_agent="test/1", **options)
        try:
            yield client, server
        finally:
            client.abort()


def answering(*answers: tuple[int, bytes], seen: list[Received] | None = None) -> Script:
    """Sends these responses in order, over any number of connections."""
    left = list(answers)

    def script(peer: Peer) -> None:
        while (request := peer.receive()) is not None:
            if seen is not None:
                seen.append(request)
            peer.reply(*left.pop(0))

    return script


Call = Callable[[Client], object]
CALLS: dict[str, tuple[Call, str, dict[str, str], Any]] = {
    "get asks for one object": (
        lambda c: c.get(JOBS, "ns", "a", Job),
        "GET /apis/batch/v1/namespaces/ns/jobs/a HTTP/1.1",
        {"accept": "application/json", "user-agent": "test/1"},
        None,
    ),
    "create posts to the collection": (
        lambda c: c.create(JOBS, "ns", {"kind": "Job"}, Job),
        "POST /apis/batch/v1/namespaces/ns/jobs HTTP/1.1",
        {"content-type": "application/json"},
        {"kind": "Job"},
    ),
    "create says what an unknown field means": (
        lambda c: c.create(JOBS, "ns", {"kind": "Job"}, Job, field_validation="Strict"),
        "POST /apis/batch/v1/namespaces/ns/jobs?fieldValidation=Strict HTTP/1.1",
        {"content-type": "application/json"},
        {"kind": "Job"},
    ),
    "create that is only tried": (
        lambda c: c.create(JOBS, "ns", {"kind": "Job"}, Job, dry_run=True),
        "POST /apis/batch/v1/namespaces/ns/jobs?dryRun=All HTTP/1.1",
        {"content-type": "application/json"},
        {"kind": "Job"},
    ),
    "apply names its field manager": (
        lambda c: c.apply(JOBS, "ns", "a", {"kind": "Job"}, Job, field_manager="me"),
        "PATCH /apis/batch/v1/namespaces/ns/jobs/a?fieldManager=me HTTP/1.1",
        {"content-type": "application/apply-patch+yaml"},
        {"kind": "Job"},
    ),
    "apply that takes fields over, and is only tried": (
        lambda c: c.apply(JOBS, "ns", "a", {}, Job, field_manager="me", force=True, dry_run=True),
        "PATCH /apis/batch/v1/namespaces/ns/jobs/a?fieldManager=me&force=true&dryRun=All HTTP/1.1",
        {"content-type": "application/apply-patch+yaml"},
        {},
    ),
    "patch goes to the subresource with its content type": (
        lambda c: c.patch(JOBS, "ns", "a", b"[]", content_type=JSON_PATCH, type=Job, subresource="status"),
        "PATCH /apis/batch/v1/namespaces/ns/jobs/a/status HTTP/1.1",
        {"content-type": "application/json-patch+json"},
        [],
    ),
    "replace puts the whole object": (
        lambda c: c.replace(JOBS, "ns", "a", JOB, Job),
        "PUT /apis/batch/v1/namespaces/ns/jobs/a HTTP/1.1",
        {},
        json.loads(JOB),
    ),
    "delete names the uid it means": (
        lambda c: c.delete(JOBS, "ns", "a", uid="u1"),
        "DELETE /apis/batch/v1/namespaces/ns/jobs/a HTTP/1.1",
        {},
        {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": "u1"},
        },
    ),
    "list asks for a page of metadata": (
        lambda c: c.list_page(
            JOBS, None, PartialObject, label_selector="a=b", limit=2, continue_="t+/", metadata_only=True
        ),
        "GET /apis/batch/v1/jobs?labelSelector=a%3Db&limit=2&continue=t%2B%2F HTTP/1.1",
        {"accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"},
        None,
    ),
}


@pytest.mark.parametrize(("call", "line", "headers", "body"), CALLS.values(), ids=CALLS.keys())
def test_a_call_sends(call: Call, line: str, headers: dict[str, str], body: Any) -> None:
    seen: list[Received] = []
    answer = b'{"metadata":{"resourceVersion":"9"},"items":[]}' if "limit" in line else JOB
    with talking_to(answering((200, answer), seen=seen)) as (client, _):
        call(client)
    assert seen[0].line == line
    assert headers.items() <= seen[0].headers.items()
    assert (json.loads(seen[0].body) if seen[0].body else None) == body


def test_an_answer_is_decoded_into_the_type_asked_for() -> None:
    with talking_to(answering((200, JOB), (200, JOB))) as (client, _):
        assert client.get(JOBS, "ns", "a", Job).metadata.resource_version == "7"
        assert client.get(JOBS, "ns", "a", bytes) == JOB


def test_pages_carry_version_and_token() -> None:
    body = b'{"metadata":{"resourceVersion":"9","continue":"next"},"items":[%b]}' % JOB
    with talking_to(answering((200, body), (200, b'{"metadata":{"resourceVersion":"9"},"items":null}'))) as (client, _):
        first = client.list_page(JOBS, "ns", Job)
        last = client.list_page(JOBS, "ns", Job, continue_=first.continue_)
    assert ([job.metadata.name for job in first.items], first.resource_version, first.continue_) == (["a"], "9", "next")
    assert (last.items, last.continue_) == ([], "")


def test_raw_items_are_split_however_deep_one_is_nested() -> None:
    deep = b'{"metadata":{"name":"b"},"spec":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}"
    body = b'{"metadata":{"resourceVersion":"9","continue":"next"},"items":[%b,%b]}' % (JOB, deep)
    with talking_to(answering((200, body))) as (client, _):
        page = client.list_page(JOBS, "ns", msgspec.Raw)
    assert ([bytes(item) for item in page.items], page.resource_version, page.continue_) == ([JOB, deep], "9", "next")


def large_pages(bytes_each: int, count: int, seen: list[int]) -> Script:
    """A collection of `count` objects of that size, listed in pages; the limits asked for are noted in `seen`."""

    def script(peer: Peer) -> None:
        while (request := peer.receive()) is not None:
            asked = dict(parse_qsl(urlsplit(request.line.split()[1]).query))
            limit, start = int(asked.get("limit", 0)), int(asked.get("continue", 0))
            seen.append(limit)
            end = min(count, start + limit) if limit else count
            item = b'{"metadata":{"name":"a"},"spec":"%b"}' % (b"x" * bytes_each)
            more = str(end) if end < count else ""
            head = b'{"metadata":{"resourceVersion":"9","continue":"%b"},"items":[' % more.encode()
            peer.reply(200, head + b",".join([item] * (end - start)) + b"]}")

    return script


def read_all(client: Client, limit: int = 500) -> int:
    count, token = 0, ""
    while True:
        page = client.list_page(JOBS, "ns", msgspec.Raw, limit=limit, continue_=token)
        count, token = count + len(page.items), page.continue_
        if not token:
            return count


def test_a_page_that_is_too_large_shrinks_until_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_LIST_BODY", 4000)
    seen: list[int] = []
    with talking_to(large_pages(1000, 10, seen)) as (client, _):
        assert read_all(client) == 10
        assert seen == [500, 125, 31, 7, 1, *[1] * 9]
        seen.clear()
        assert read_all(client) == 10
        assert seen[0] == 500, "the next list may be of smaller objects"


def test_a_request_without_pages_says_nothing_about_how_large_the_objects_of_a_page_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some objects of a kind are read by themselves between two pages of the list of all."""
    monkeypatch.setattr(client_module, "_LIST_BODY", 4000)
    seen: list[int] = []
    with talking_to(large_pages(1000, 10, seen)) as (client, _):
        page = client.list_page(JOBS, "ns", msgspec.Raw)
        assert seen == [500, 125, 31, 7, 1]
        client.list_page(JOBS, "ns", msgspec.Raw, limit=0, resource_version="9")
        client.list_page(JOBS, "ns", msgspec.Raw, continue_=page.continue_)
        assert seen[5:] == [0, 1]


def test_objects_of_which_each_is_larger_than_a_page_still_come_in_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_LIST_BODY", 100)
    with talking_to(large_pages(1000, 3, [])) as (client, _):
        assert read_all(client, limit=2) == 3


BODIES: dict[str, bytes] = {
    "with a length": b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999\r\n\r\n",
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n%b\r\n" % (b"x" * 4096),
    "to the end of the connection": b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 4096,
}


@pytest.mark.parametrize("answer", BODIES.values(), ids=BODIES.keys())
def test_a_body_without_bound_is_an_error(answer: bytes) -> None:
    request = Request("get", "", "GET", "/version", max_body=4000)

    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(answer)
        peer.receive()

    with talking_to(script) as (client, _), pytest.raises(Transient, match="too large") as caught:
        client._transport.call(request)
    assert caught.value.reason == "TooLarge"
    assert client.connection_lost_at == float("-inf")


def nested(levels: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"a": found}
    return found


DEEP_CALLS: dict[str, Call] = {
    "create": lambda c: c.create(JOBS, "ns", nested(5000), Job),
    "replace": lambda c: c.replace(JOBS, "ns", "a", nested(5000), Job),
}


@pytest.mark.parametrize("call", DEEP_CALLS.values(), ids=DEEP_CALLS.keys())
def test_an_object_nested_too_deep_is_refused_before_it_is_sent(call: Call) -> None:
    with talking_to(answering()) as (client, server), pytest.raises(Refused, match="nested too deep"):
        call(client)
    assert server.connections == 0


DEEP_JSON = b'{"kind":"Status","metadata":{"name":"a"},"spec":{"a":' + b"[" * 5000 + b"]" * 5000 + b"}}"


@pytest.mark.parametrize("type_", [Job, PartialObject], ids=["a job", "metadata"])
def test_of_an_answer_nested_too_deep_the_upper_levels_are_read(type_: type[Job]) -> None:
    with talking_to(answering((201, DEEP_JSON), (200, DEEP_JSON))) as (client, _):
        assert client.create(JOBS, "ns", {}, type_).metadata.name == "a"
        assert client.get(JOBS, "ns", "a", type_).metadata.name == "a"


LIES: dict[str, bytes] = {
    "an empty object": b"{}",
    "a Status": b'{"kind":"Status","status":"Success","metadata":{}}',
    "a page of a proxy": b"<html>welcome</html>",
    "nothing": b"",
    "a list": b"[]",
    "null": b"null",
}
LIST_LIES: dict[str, bytes] = {
    **LIES,
    "items without a version": b'{"kind":"JobList","metadata":{},"items":[]}',
    "a version without items": b'{"kind":"JobList","metadata":{"resourceVersion":"9"}}',
    "an object": JOB,
}


@pytest.mark.parametrize("body", LIST_LIES.values(), ids=LIST_LIES.keys())
@pytest.mark.parametrize("type_", [Job, msgspec.Raw], ids=["of jobs", "of raw items"])
def test_a_200_that_is_no_list_is_never_an_empty_page(body: bytes, type_: type) -> None:
    with talking_to(answering((200, body))) as (client, _), pytest.raises(Transient):
        client.list_page(JOBS, "ns", type_)


OBJECT_CALLS: dict[str, Call] = {
    "get": lambda c: c.get(JOBS, "ns", "a", Job),
    "get of bytes": lambda c: c.get(JOBS, "ns", "a", bytes),
    "get of any JSON": lambda c: c.get(JOBS, "ns", "a", dict),
    "create": lambda c: c.create(JOBS, "ns", JOB, Job),
    "create, bytes": lambda c: c.create(JOBS, "ns", JOB, bytes),
    "patch": lambda c: c.patch(JOBS, "ns", "a", b"[]", content_type=JSON_PATCH, type=Job),
    "replace": lambda c: c.replace(JOBS, "ns", "a", JOB, dict),
}


@pytest.mark.parametrize("body", LIES.values(), ids=LIES.keys())
@pytest.mark.parametrize("call", OBJECT_CALLS.values(), ids=OBJECT_CALLS.keys())
def test_a_200_without_the_object_is_a_transient_error(call: Call, body: bytes) -> None:
    with talking_to(answering((200, body))) as (client, _), pytest.raises(Transient):
        call(client)


def test_an_object_of_another_name_is_not_the_one_asked_for() -> None:
    with talking_to(answering((200, JOB))) as (client, _), pytest.raises(Unrecognized, match="not the object 'b'"):
        client.get(JOBS, "ns", "b", Job)


@pytest.mark.parametrize("body", [lie for name, lie in LIES.items() if name != "a Status"])
def test_a_200_that_the_api_server_cannot_have_written_is_no_deletion(body: bytes) -> None:
    with talking_to(answering((200, body))) as (client, _), pytest.raises(Transient):
        client.delete(JOBS, "ns", "a", uid="u1")


@pytest.mark.parametrize("body", [LIES["a Status"], JOB], ids=["a Status", "the object, which has a finalizer"])
def test_a_deletion_is_answered_with(body: bytes) -> None:
    with talking_to(answering((200, body))) as (client, _):
        client.delete(JOBS, "ns", "a", uid="u1")


def test_an_error_nested_too_deep_is_our_error() -> None:
    with talking_to(answering((422, DEEP_JSON))) as (client, _), pytest.raises(Unrecognized):
        client.create(JOBS, "ns", {}, Job)


INVALID = msgspec.json.encode({"kind": "Status", "code": 422, "reason": "Invalid", "message": "no containers"})


@pytest.mark.parametrize(("status", "body"), [(201, JOB), (422, INVALID)], ids=["made", "refused"])
def test_what_the_api_server_warns_of_is_handed_on(status: int, body: bytes) -> None:
    def script(peer: Peer) -> None:
        while peer.receive() is not None:
            peer.reply(status, body, 'Warning: 299 - "one"', 'Warning: 299 - "two"')

    seen: list[str] = []
    with talking_to(script) as (client, _), contextlib.suppress(Refused):
        client.create(JOBS, "ns", {}, Job, on_warnings=seen.extend)
        client.create(JOBS, "ns", {}, Job)  # whoever does not ask for warnings gets none
    assert seen == ["one", "two"]


def test_without_warnings_nobody_is_called() -> None:
    def fail(_texts: tuple[str, ...]) -> None:
        raise AssertionError("called")

    with talking_to(answering((201, JOB))) as (client, _):
        client.create(JOBS, "ns", {}, Job, on_warnings=fail)


def test_a_refusal_becomes_our_error() -> None:
    body = msgspec.json.encode({"kind": "Status", "code": 409, "reason": "AlreadyExists", "message": 'jobs "a" exists'})
    with talking_to(answering((409, body))) as (client, _), pytest.raises(Exists, match='jobs "a" exists'):
        client.create(JOBS, "ns", {}, Job)


def test_an_answer_of_another_shape_is_a_transient_error() -> None:
    with talking_to(answering((200, b"<html>"))) as (client, _), pytest.raises(Transient, match="cannot be decoded"):
        client.get(JOBS, "ns", "a", Job)


@pytest.mark.parametrize("name", ["../secrets/x", "a b", "a\r\nX: y", "a?b", "", ".."])
def test_a_name_cannot_change_the_url(name: str) -> None:
    with talking_to(answering()) as (client, server), pytest.raises(Refused, match="not the path"):
        client.get(GVR("batch", "v1", f"jobs/{name}"), "ns", "a", Job)
    assert server.connections == 0


def test_connections_are_kept_and_used_again() -> None:
    with talking_to(answering(*[(200, JOB)] * 5)) as (client, server):
        for _ in range(5):
            client.get(JOBS, "ns", "a", Job)
        assert server.connections == 1


def test_a_connection_that_the_server_closed_meanwhile_is_replaced() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.reply(200, JOB)  # and closes without saying so

    with talking_to(script) as (client, server):
        for _ in range(3):
            client.get(JOBS, "ns", "a", Job)
        assert server.connections == 3


def test_a_kept_connection_cut_before_any_answer_repeats_the_call_once() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.reply(200, JOB)
        peer.receive()  # the second request is read, and the connection closed without an answer

    with talking_to(script) as (client, server):
        client.get(JOBS, "ns", "a", Job)
        client.create(JOBS, "ns", {}, Job)
        assert server.connections == 2


SHAPES: dict[str, tuple[list[bytes], int]] = {
    "in one piece": ([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(JOB), JOB)], 1),
    "the head in pieces": (
        [b"HTTP/1.1 200", b" OK\r\nContent-Length: %d\r" % len(JOB), b"\n\r\n" + JOB[:9], JOB[9:]],
        1,
    ),
    "in chunks": (
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n" + JOB[:9],
            b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(JOB) - 9, JOB[9:]),
        ],
        1,
    ),
    "after interim answers": (
        [
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(JOB), JOB),
        ],
        1,
    ),
    "with more than was asked for": (
        [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%bHTTP/1.1 200 OK" % (len(JOB), JOB)],
        2,
    ),
    "with a farewell": (
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(JOB), JOB)],
        2,
    ),
}


@pytest.mark.parametrize(("pieces", "connections"), SHAPES.values(), ids=SHAPES.keys())
def test_an_answer_comes(pieces: list[bytes], connections: int) -> None:
    def script(peer: Peer) -> None:
        while peer.receive():
            for piece in pieces:
                peer.send(piece)
                time.sleep(0.002)  # its own packet

    with talking_to(script) as (client, server):
        for _ in range(2):
            assert client.get(JOBS, "ns", "a", bytes) == JOB
        assert server.connections == connections


def test_an_answer_may_end_with_the_connection() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n" + JOB)

    with talking_to(script) as (client, _):
        assert client.get(JOBS, "ns", "a", bytes) == JOB


NOISE = {
    "something else than HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a head without end": b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000,
    "broken chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n",
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE.keys())
def test_what_is_not_http_is_a_transient_error(noise: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(noise)
        peer.receive()

    with talking_to(script) as (client, _), pytest.raises(Transient, match="not HTTP") as caught:
        client.get(JOBS, "ns", "a", Job)
    assert caught.value.reason == "Malformed"


def test_a_new_connection_cut_before_any_answer_is_an_error() -> None:
    def script(peer: Peer) -> None:
        peer.receive()

    with talking_to(script) as (client, server):
        with pytest.raises(Transient) as caught:
            client.get(JOBS, "ns", "a", Job)
        assert caught.value.reason == "Network"
        assert server.connections == 1


def test_a_connection_cut_in_the_middle_of_an_answer_is_an_error_and_not_repeated() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.reply(200, JOB)
        peer.receive()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    with talking_to(script) as (client, server):
        client.get(JOBS, "ns", "a", Job)
        with pytest.raises(Transient, match="in the middle"):
            client.get(JOBS, "ns", "a", Job)
        assert server.connections == 1


def test_a_server_that_does_not_answer_costs_no_more_than_the_timeout() -> None:
    def script(peer: Peer) -> None:
        while peer.receive():
            pass

    with talking_to(script, timeout=0.05) as (client, server):
        with pytest.raises(Transient, match=r"no answer within 0.05 s") as caught:
            client.get(JOBS, "ns", "a", Job)
        assert caught.value.reason == "Timeout"
        assert server.connections == 1


def test_a_server_that_trickles_is_held_to_the_same_deadline() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        for _ in range(100):
            peer.send(b" ")
            time.sleep(0.01)

    with talking_to(script, timeout=0.05) as (client, _), pytest.raises(Transient, match="no answer within"):
        client.get(JOBS, "ns", "a", Job)


def test_nobody_listening_is_a_transient_error_naming_the_server() -> None:
    with Server(lambda peer: None) as server:
        url = server.url
    client = Client(ClientConfig(url), user_agent="test/1")
    with pytest.raises(Transient, match=url.replace(".", r"\.")):
        client.get(JOBS, "ns", "a", Job)


def test_a_host_name_that_cannot_be_is_a_transient_error() -> None:
    client = Client(ClientConfig(f"http://{'a' * 70}.example:1"), user_agent="test/1")
    with pytest.raises(Transient, match="cannot connect to 'aaa"):
        client.get(JOBS, "ns", "a", Job)


def test_a_large_body_that_is_refused_early_is_still_refused() -> None:
    status = b'{"kind":"Status","code":413,"message":"limit is 3145728"}'

    def script(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.reply(413, status, "Connection: close")
        peer.sock.shutdown(socket.SHUT_WR)
        time.sleep(0.02)

    with talking_to(script) as (client, _), pytest.raises(Refused, match="limit is 3145728"):
        client.create(JOBS, "ns", b"x" * 20_000_000, Job)


class Rotating:
    """Credentials that are new once the old ones were refused."""

    token = "old"

    def authorization(self) -> str:
        return f"Bearer {self.token}"

    def certificate(self) -> bytes | None:
        return None

    def invalidate(self) -> None:
        self.token = "new"


def test_a_webhook_that_denies_with_401_costs_no_renewal_of_the_credentials() -> None:
    denial = b'{"kind":"Status","reason":"Unauthorized","message":"admission webhook \\"a\\" denied the request: no"}'
    credentials = Rotating()
    with Server(answering((401, denial))) as server:
        client = Client(ClientConfig(server.url, credentials=credentials), user_agent="test/1")
        with pytest.raises(Denied):
            client.create(JOBS, "ns", JOB, Job)
        client.abort()
    assert credentials.token == "old"


def test_refused_credentials_are_read_again_once() -> None:
    seen: list[Received] = []
    with Server(answering((401, b"{}"), (200, JOB), (401, b"{}"), seen=seen)) as server:
        client = Client(ClientConfig(server.url, credentials=Rotating()), user_agent="test/1")
        client.get(JOBS, "ns", "a", Job)
        assert [request.headers["authorization"] for request in seen] == ["Bearer old", "Bearer new"]
        with pytest.raises(Unauthorized):
            client.get(JOBS, "ns", "a", Job)
        client.abort()


def test_every_call_is_observed_with_its_code() -> None:
    seen: list[tuple[str, str, int]] = []
    with talking_to(answering((200, JOB), (404, b'{"kind":"Status","reason":"NotFound"}'))) as (client, server):
        client.add_observer(lambda verb, resource, code, seconds: seen.append((verb, resource, code)))
        client.get(JOBS, "ns", "a", Job)
        with pytest.raises(NotServed):
            client.delete(JOBS, "ns", "a", uid=None)
        server.close()
        with pytest.raises(Transient):
            client.get(JOBS, "ns", "a", Job)
    assert seen == [("get", "jobs.batch", 200), ("delete", "jobs.batch", 404), ("get", "jobs.batch", 0)]


def answer_and_close(peer: Peer) -> None:
    peer.receive()
    peer.reply(200, JOB)


LOSSES: dict[str, tuple[Script, bool]] = {
    "answers and errors": (answering((200, JOB), (404, b"<html>"), (503, b""), (200, JOB)), False),
    "a connection that the server says it closes": (lambda peer: peer.reply(200, JOB, "Connection: close"), False),
    "an idle connection that is closed": (answer_and_close, True),
    "a connection that is cut without an answer": (lambda peer: None, True),
    "an answer that is cut": (lambda peer: peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), True),
    "chunks that are cut": (
        lambda peer: peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"),
        True,
    ),
    "something else than HTTP": (lambda peer: peer.send(b"SSH-2.0\r\n\r\n"), True),
}


@pytest.mark.parametrize(("script", "is_lost"), LOSSES.values(), ids=LOSSES.keys())
def test_whether_a_connection_counts_as_lost_after(script: Script, is_lost: bool) -> None:
    with talking_to(script) as (client, _):
        assert client.connection_lost_at == float("-inf")
        began = time.monotonic()
        for _ in range(4):
            with contextlib.suppress(KubeError):
                client.get(JOBS, "ns", "a", Job)
        assert (client.connection_lost_at >= began) is is_lost


def test_a_server_that_is_not_there_counts_as_lost() -> None:
    with Server(lambda peer: None) as server:
        url = server.url
    client = Client(ClientConfig(url), user_agent="test/1")
    with pytest.raises(Transient):
        client.get(JOBS, "ns", "a", Job)
    assert client.connection_lost_at > float("-inf")


def test_the_limiter_spaces_calls_out() -> None:
    with talking_to(answering(*[(200, JOB)] * 4), qps=50, burst=2) as (client, _):
        began = time.monotonic()
        for _ in range(4):
            client.get(JOBS, "ns", "a", Job)
        assert time.monotonic() - began >= 0.035


def in_thread(call: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run a call in a thread; its result or KubeError is appended to the list."""
    result: list[object] = []

    def run() -> None:
        try:
            result.append(call())
        except KubeError as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


def test_draining_lets_calls_in_flight_finish_and_starts_none() -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        peer.receive()
        arrived.set()
        go_on.wait(5)
        peer.reply(200, JOB)

    with talking_to(script) as (client, _):
        thread, result = in_thread(lambda: client.get(JOBS, "ns", "a", Job))
        assert arrived.wait(5)
        drainer = threading.Thread(target=client.drain, args=(5.0,))
        drainer.start()
        while not client._transport.is_stopping:
            time.sleep(0.001)
        with pytest.raises(Stopped, match="not sent"):
            client.get(JOBS, "ns", "a", Job)
        go_on.set()
        thread.join(5)
        drainer.join(5)
    assert isinstance(result[0], Job)


@pytest.mark.parametrize("stop", [lambda c: c.drain(0.02), lambda c: c.abort()], ids=["drain", "abort"])
def test_calls_that_do_not_finish_in_time_are_cut(stop: Callable[[Client], None]) -> None:
    arrived = threading.Event()

    def script(peer: Peer) -> None:
        peer.receive()
        arrived.set()
        peer.receive()

    with talking_to(script) as (client, _):
        thread, result = in_thread(lambda: client.create(JOBS, "ns", {}, Job))
        assert arrived.wait(5)
        stop(client)
        thread.join(5)
    assert isinstance(result[0], Stopped)


def test_a_handshake_that_hangs_is_cut_too(certificate: Certificate) -> None:
    arrived = threading.Event()

    def script(peer: Peer) -> None:
        peer.sock.recv(1)
        arrived.set()
        while peer.sock.recv(65536):
            pass

    with Server(script) as server:
        config = ClientConfig(server.url.replace("http:", "https:"), ca=certificate.cert)
        client = Client(config, user_agent="test/1")
        thread, result = in_thread(lambda: client.get(JOBS, "ns", "a", Job))
        assert arrived.wait(5)
        client.abort()
        thread.join(5)
    assert isinstance(result[0], Stopped)


def test_https_connections_are_kept_and_rebuilt_when_the_certificate_rotates(
    certificate: Certificate, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(certificate.cert.read_bytes())
    with Server(answering(*[(200, JOB)] * 5), certificate.server()) as server:
        config = ClientConfig(server.url, ca=ca)
        client = Client(config, user_agent="test/1")
        for _ in range(5):
            client.get(JOBS, "ns", "a", Job)
        assert server.connections == 1
        client.abort()
        make_context = config.endpoint({}).tls
        assert make_context is not None
        before = make_context()
        assert make_context() is before
        ca.write_bytes(ca.read_bytes() * 2)
        assert make_context() is not before


def test_https_checks_the_server_and_presents_our_certificate(certificate: Certificate) -> None:
    context = certificate.server()
    context.load_verify_locations(certificate.cert)
    context.verify_mode = ssl.CERT_REQUIRED
    key = certificate.key.read_bytes()
    with Server(answering((200, JOB), (200, JOB)), context) as server:
        ours = Static("", certificate.cert, key)
        client = Client(ClientConfig(server.url, ca=certificate.cert, credentials=ours), user_agent="test/1")
        client.get(JOBS, "ns", "a", Job)
        client.abort()
        distrustful = Client(ClientConfig(server.url, credentials=ours), user_agent="test/1")
        with pytest.raises(Transient, match="TLS failed") as caught:
            distrustful.get(JOBS, "ns", "a", Job)
        assert caught.value.reason == "TLS"
        careless = Client(ClientConfig(server.url, verify=False, credentials=ours), user_agent="test/1")
        careless.get(JOBS, "ns", "a", Job)
        careless.abort()


def test_a_proxy_is_asked_to_connect(certificate: Certificate) -> None:
    asked: list[str] = []

    with Server(answering((200, JOB)), certificate.server()) as server:

        def proxy_script(peer: Peer) -> None:
            request = peer.receive()
            assert request is not None
            asked.append(f"{request.line} {request.headers.get('proxy-authorization')}")
            peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with socket.create_connection(("127.0.0.1", server.port)) as upstream:
                back = threading.Thread(target=_pump, args=(upstream, peer.sock), daemon=True)
                back.start()
                _pump(peer.sock, upstream)

        with Server(proxy_script) as proxy:
            config = ClientConfig(server.url, ca=certificate.cert, proxy=f"http://user:pass@127.0.0.1:{proxy.port}")
            client = Client(config, user_agent="test/1")
            client.get(JOBS, "ns", "a", Job)
            client.abort()
        assert asked == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.1 Basic dXNlcjpwYXNz"]


def test_a_proxy_that_refuses_is_named() -> None:
    def proxy_script(peer: Peer) -> None:
        peer.receive()
        peer.reply(407, b"")

    with Server(proxy_script) as proxy:
        config = ClientConfig("https://far.example:6443", proxy=f"http://127.0.0.1:{proxy.port}")
        client = Client(config, user_agent="test/1")
        with pytest.raises(Transient, match="the proxy answered CONNECT with 407"):
            client.get(JOBS, "ns", "a", Job)
        client.abort()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        return


def test_a_write_asks_at_the_last_moment_and_is_not_sent_when_the_answer_is_no() -> None:
    seen: list[Received] = []
    with talking_to(answering((200, JOB), (200, JOB), seen=seen)) as (client, _):
        client.guard(lambda: False)
        with pytest.raises(Stopped):
            client.create(JOBS, "ns", {}, Job)
        client.get(JOBS, "ns", "a", Job)
        with pytest.raises(Stopped):
            client.delete(JOBS, "ns", "a", uid="u1")
        client.guard(lambda: True)
        client.create(JOBS, "ns", {}, Job)
    assert [received.line.split()[0] for received in seen] == ["GET", "POST"]


def test_a_write_that_is_repeated_asks_again() -> None:
    """A write may be allowed when the call begins, and no longer when the idle connection turns out to be dead."""
    answers = iter([True, False])
    seen: list[Received] = []

    def script(peer: Peer) -> None:
        request = peer.receive()
        if request is not None and request.line.startswith("GET"):
            seen.append(request)
            peer.reply(200, JOB)
            peer.receive()  # the write arrives here, and its connection is cut without an answer

    with talking_to(script) as (client, _):
        client.get(JOBS, "ns", "a", Job)
        client.guard(lambda: next(answers))
        with pytest.raises(Stopped):
            client.create(JOBS, "ns", {}, Job)
    assert len(seen) == 1
