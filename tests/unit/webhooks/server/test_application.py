"""What is answered to requests of every kind, over real connections."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pkg.serving.limits import MIB, Limits
from pkg.webhooks.review import Answer, Request
from tests.unit.kube.waiting import wait_for
from tests.unit.webhooks.server.serving import Serving, allow, review, serving


def judge(request: Request) -> Answer:
    """Refuses by name, or breaks."""
    match request.name:
        case "bad":
            return Answer(allowed=False, message="spec.flows: must not be empty", code=422)
        case "broken":
            raise RuntimeError("a fault of ours")
        case _:
            return Answer(allowed=True, warnings=("careful",), patch=({"op": "add", "path": "/a", "value": 1},))


@pytest.fixture(scope="module")
def server() -> Iterator[Serving]:
    with serving({"/validate": judge, "/mutate": judge}, Limits(body_bytes=MIB)) as made:
        yield made


def response(server: Serving, body: bytes, path: str = "/validate") -> dict[str, object]:
    status, headers, text = server.post(body, path)
    assert (status, headers["content-type"]) == (200, "application/json")
    answer = json.loads(text)
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    return dict(answer["response"])


@pytest.mark.parametrize("path", ["/validate", "/mutate"])
def test_a_good_object_is_allowed(server: Serving, path: str) -> None:
    found = response(server, review(), path)
    assert (found["uid"], found["allowed"], found["warnings"]) == ("u-1", True, ["careful"])
    assert found["patchType"] == "JSONPatch"


def test_a_refusal_carries_code_and_message(server: Serving) -> None:
    found = response(server, review(name="bad"))
    assert found["status"] == {
        "status": "Failure",
        "message": "spec.flows: must not be empty",
        "code": 422,
        "reason": "Invalid",
    }


def test_a_handler_that_fails_is_a_refusal_with_code_500_and_a_log_line(
    server: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    found = response(server, review(name="broken"))
    assert (found["uid"], found["allowed"]) == ("u-1", False)
    assert found["status"]["code"] == 500  # type: ignore[index]
    assert "RuntimeError" in str(found["status"])


@pytest.mark.parametrize(
    ("body", "uid", "says"),
    [
        pytest.param(b"", "", "must be JSON", id="nothing"),
        pytest.param(b"\xff\x00", "", "the body", id="bytes that are no text"),
        pytest.param(b"[" * 100_000, "", "the body", id="a hundred thousand brackets"),
        pytest.param(b'{"request": {"uid": "u-9"}}', "u-9", "kind", id="a review with a uid alone"),
        pytest.param(review("u-8", operation="CONNECT"), "u-8", "request.operation", id="an operation of its own"),
        pytest.param(review("u-7", object="text"), "u-7", "request.object", id="an object that is a text"),
    ],
)
def test_what_is_no_review_is_refused_with_a_review(server: Serving, body: bytes, uid: str, says: str) -> None:
    found = response(server, body)
    assert (found["uid"], found["allowed"]) == (uid, False)
    status = found["status"]
    assert isinstance(status, dict)
    assert status["code"] == 400
    assert says in status["message"]


def raw(server: Serving, request: bytes) -> bytes:
    with server.connect() as connection:
        connection.sendall(request)
        return connection.recv(65536)


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        pytest.param("GET /validate", "", 405, id="a GET"),
        pytest.param("POST /", "content-type: application/json\r\n", 404, id="the root"),
        pytest.param("POST /validate/x", "content-type: application/json\r\n", 404, id="a path below"),
        pytest.param("POST /validate", "content-type: text/plain\r\n", 415, id="a text"),
        pytest.param("POST /validate", "", 415, id="no content type"),
        pytest.param("POST //[", "", 404, id="a path that is odd"),
        pytest.param("POST /\xff", "", 400, id="a path that is not ASCII"),
        pytest.param("no HTTP at all", "", 400, id="garbage"),
        pytest.param("CONNECT a:1", "", 400, id="a proxy's request"),
        pytest.param(
            "POST /validate",
            "content-type: application/json\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
            200,
            id="an upgrade, which is ignored",
        ),
    ],
)
def test_http_errors_are_for_what_is_no_review(server: Serving, request_line: str, headers: str, status: int) -> None:
    answer = raw(server, f"{request_line} HTTP/1.1\r\nhost: a\r\n{headers}content-length: 0\r\n\r\n".encode())
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_a_query_is_allowed_because_the_api_server_sends_its_timeout_there(server: Serving) -> None:
    status, _, _ = server.post(review(), "/validate?timeout=10s")
    assert status == 200


@pytest.mark.parametrize(
    ("size", "status"),
    [
        pytest.param(MIB, 200, id="as large as allowed"),
        pytest.param(MIB + 1, 413, id="one byte too large"),
    ],
)
@pytest.mark.parametrize("is_chunked", [False, True], ids=["announced", "in chunks"])
def test_the_size_of_a_body_is_limited(server: Serving, size: int, status: int, is_chunked: bool) -> None:
    body = review(padding="x" * (size - len(review(padding=""))))
    client = server.client()
    client.request(
        "POST",
        "/validate",
        iter([body[: MIB // 2], body[MIB // 2 :]]) if is_chunked else body,
        {"Content-Type": "application/json"},
        encode_chunked=is_chunked,
    )
    assert client.getresponse().status == status
    assert server.app._buffered == 0


def test_a_body_of_any_size_is_not_read_to_its_end(server: Serving) -> None:
    with server.connect() as connection:
        head = "POST /validate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"
        connection.sendall(head.format(10**12).encode() + b"x")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_requests_above_the_bound_are_answered_503_with_a_time_to_wait() -> None:
    entered, leave = threading.Semaphore(0), threading.Event()

    def wait(_request: Request) -> Answer:
        entered.release()
        leave.wait(30)
        return Answer(allowed=True)

    limits = Limits(requests=3, threads=2)
    with serving({"/validate": wait}, limits) as server, ThreadPoolExecutor(3) as pool:
        running = [pool.submit(server.post, review()) for _ in range(3)]
        for _ in range(limits.threads):
            entered.acquire()
        wait_for(lambda: server.app.running == limits.requests)  # the third waits for a thread
        status, headers, _ = server.post(review())
        leave.set()
        assert (status, headers["retry-after"]) == (503, "1")
        assert [future.result()[0] for future in running] == [200, 200, 200]
        assert ("/validate", False, 503) in server.counted.answers


def test_bodies_that_exceed_the_memory_for_all_are_answered_503() -> None:
    with serving(limits=Limits(buffered_bytes=1000)) as server:
        status, headers, _ = server.post(review(padding="x" * 1000))
        assert (status, headers["retry-after"]) == (503, "1")
        assert server.post(review())[0] == 200


def test_every_answer_is_counted_under_a_path_that_no_client_chooses() -> None:
    with serving({"/validate": judge}) as server:
        for body, path in (
            (review(), "/validate"),
            (review(name="bad"), "/validate"),
            (b"", "/any"),
            (b"", "/validate"),
        ):
            server.post(body, path)
        assert server.counted.answers == [
            ("/validate", True, 200),
            ("/validate", False, 422),
            ("other", False, 404),
            ("/validate", False, 400),
        ]


def test_two_requests_at_once_on_one_connection_are_answered_in_order() -> None:
    with serving({"/validate": allow}) as server, server.connect() as connection:
        texts = [review(uid) for uid in ("one", "two")]
        head = "POST /validate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"
        connection.sendall(b"".join(head.format(len(text)).encode() + text for text in texts))
        seen = b""
        while seen.count(b'"uid"') < 2:
            seen += connection.recv(65536)
        assert seen.index(b'"one"') < seen.index(b'"two"')
