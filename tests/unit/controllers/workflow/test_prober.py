"""Probes against real servers on the loopback interface: when they are tried, what passes, and whom they contact."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.types import HTTPGet, HTTPHeader, PodChoice, Scheme, TCPSocket
from pkg.controllers.workflow.planner.actions import ProbeRequest
from pkg.controllers.workflow.planner.job_identity import WorkflowId
from pkg.controllers.workflow.planner.progress import ProbeKey
from pkg.controllers.workflow.probe_calls import unverified
from pkg.controllers.workflow.prober import REPORTED_AFTER, Prober
from tests.builders import WORKFLOW, task

KEY = "team/w"
OTHER = WorkflowId("team", "other", "u-other")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Server:
    """Answers each connection with the next of its answers, the last one for ever; an empty one closes at once."""

    answers: list[bytes]
    port: int = 0
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving(
    *answers: bytes, address: str = "127.0.0.1", port: int = 0, context: ssl.SSLContext | None = None
) -> Iterator[Server]:
    server, loop, ready = Server(list(answers), port), asyncio.new_event_loop(), threading.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reply = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        if reply:
            server.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(reply)
        else:
            server.asked.append("")
        writer.close()

    def work() -> None:
        listener = loop.run_until_complete(asyncio.start_server(answer, address, server.port, ssl=context))
        server.port = listener.sockets[0].getsockname()[1]
        ready.set()
        loop.run_forever()
        listener.close()
        loop.run_until_complete(asyncio.sleep(0.005))  # what was accepted last comes to its end
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(5)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


@dataclass
class Pods:
    """A prober, and the addresses it is told."""

    addresses: tuple[str, ...] = ("127.0.0.1",)
    woken: list[str] = field(default_factory=list)
    tries: list[tuple[str, str]] = field(default_factory=list)
    looks: int = 0
    prober: Any = None

    def passes(self, request: ProbeRequest, within: float = 10.0) -> bool:
        """Whether the probe passes, sooner or later."""
        self.prober.want(WORKFLOW, [request])
        return until(lambda: request.key in self.prober.passed(WORKFLOW), within)

    def fails(self, request: ProbeRequest, tries: int = 1) -> bool:
        """Whether so many tries are made and none passes."""
        self.prober.want(WORKFLOW, [request])
        return until(lambda: len(self.tries) >= tries, 10.0) and {result for _, result in self.tries} == {"failed"}


@pytest.fixture
def pods() -> Iterator[Pods]:
    made = Pods()

    def look(_workflow: WorkflowId, _request: ProbeRequest) -> tuple[str, ...]:
        made.looks += 1
        return made.addresses

    made.prober = Prober(
        look,
        made.woken.append,
        lambda kind, result: made.tries.append((kind, result)),
        pod_name=lambda _workflow, address: f"pod-{address[-1]}",
    )
    made.prober.start()
    yield made
    made.prober.stop()


def until(holds: Callable[[], bool], within: float) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.002)
    return holds()


def request(what: HTTPGet | TCPSocket, **fields: Any) -> ProbeRequest:
    plain = ProbeRequest(
        key=ProbeKey("b", "dependsOn.probe.x[0]", 0),
        asked=task("a"),
        attempt=0,
        what=what,
        period=0.02,
        timeout=1.0,
        threshold=1,
        role="",
        pods=PodChoice.LEAD,
    )
    return replace(plain, **fields)


def http(server: Server, **fields: Any) -> HTTPGet:
    return HTTPGet(task_name="a", port=server.port, **fields)


def test_the_first_try_is_at_once_and_a_pass_wakes_the_workflow(pods: Pods) -> None:
    with serving(OK) as server:
        assert pods.passes(request(http(server, path="/ok"), period=3600.0))
        assert until(lambda: pods.woken == [KEY], 1.0)
        assert server.asked[0].startswith("GET /ok HTTP/1.1\r\n")
        assert pods.tries == [("http", "passed")]


@pytest.mark.parametrize("status", [200, 204, 301, 399])
def test_http_passes_on_200_to_399(pods: Pods, status: int) -> None:
    with serving(f"HTTP/1.1 {status} So\r\n\r\n".encode()) as server:
        assert pods.passes(request(http(server)))


@pytest.mark.parametrize("status", [100, 199, 400, 404, 500, 503])
def test_http_fails_on_anything_else(pods: Pods, status: int) -> None:
    with serving(f"HTTP/1.1 {status} So\r\n\r\n".encode()) as server:
        assert pods.fails(request(http(server)))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-x\r\n", id="another protocol"),
        pytest.param(b"x" * 9000, id="no end of the line"),
        pytest.param(b"HTTP/1.1 2000 So\r\n", id="no status of three digits"),
        pytest.param(b"", id="a connection that is closed at once"),
    ],
)
def test_what_is_no_http_fails(pods: Pods, answer: bytes) -> None:
    with serving(answer) as server:
        assert pods.fails(request(http(server)))


def test_redirects_are_not_followed(pods: Pods) -> None:
    with serving(OK) as elsewhere:
        away = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{elsewhere.port}/\r\n\r\n".encode()
        with serving(away) as server:
            assert pods.passes(request(http(server)))
        assert elsewhere.asked == []


def test_the_header_is_sent(pods: Pods) -> None:
    with serving(OK) as server:
        assert pods.passes(request(http(server, http_header=HTTPHeader(name="X-Token", value="abc"))))
        assert "\r\nX-Token: abc\r\n" in server.asked[0]


def test_a_host_header_replaces_ours(pods: Pods) -> None:
    with serving(OK) as server:
        assert pods.passes(request(http(server, http_header=HTTPHeader(name="host", value="example.com"))))
        assert server.asked[0].lower().count("\r\nhost:") == 1


def test_a_line_break_in_a_header_is_not_sent(pods: Pods) -> None:
    with serving(OK) as server:
        header = HTTPHeader(name="X", value="a\r\nEvil: b")
        assert pods.fails(request(http(server, http_header=header)))
        assert not any(server.asked)


def test_certificates_are_not_verified(pods: Pods, tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*command, "-keyout", key, "-out", cert, "-subj", "/CN=nobody", "-days", "1"], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with serving(OK, context=context) as server:
        assert pods.passes(request(http(server, scheme=Scheme.HTTPS)))


def test_tcp_passes_when_the_port_accepts(pods: Pods) -> None:
    with serving(b"") as server:
        assert pods.passes(request(TCPSocket(task_name="a", port=server.port)))
        assert pods.tries == [("tcp", "passed")]


def test_tcp_fails_on_a_closed_port_and_is_tried_again(pods: Pods) -> None:
    with serving(b"") as server:
        port = server.port
    assert pods.fails(request(TCPSocket(task_name="a", port=port)), tries=3)


def test_it_has_to_pass_as_often_in_a_row_as_the_threshold_says(pods: Pods) -> None:
    bad = b"HTTP/1.1 500 No\r\n\r\n"
    with serving(OK, OK, bad, OK, OK, OK) as server:
        assert pods.passes(request(http(server), threshold=3))
        assert len(server.asked) == 6


def test_a_server_that_does_not_answer_is_given_up_after_the_timeout(pods: Pods) -> None:
    """A bare listening socket: the kernel takes the connection, nobody ever answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        what = HTTPGet(task_name="a", port=silent.getsockname()[1])
        assert pods.fails(request(what, timeout=0.05), tries=2)


# How a probe fails, for the user


def failing(pods: Pods, one: ProbeRequest) -> Any:
    """The answer that is reported for a probe that fails, once there is one."""
    pods.prober.want(WORKFLOW, [one])
    assert until(lambda: one.key in pods.prober.answers(WORKFLOW), 10.0)
    return pods.prober.answers(WORKFLOW)[one.key]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(b"HTTP/1.1 503 No\r\n\r\n", "HTTP 503", id="a status"),
        pytest.param(b"", "the connection was closed without an answer", id="a connection that is closed"),
        pytest.param(b"SSH-2.0-x\r\n", "not an HTTP/1.1 status line: b'SSH-2.0-x'", id="another protocol"),
    ],
)
def test_the_last_answer_is_reported_in_words(pods: Pods, answer: bytes, why: str) -> None:
    with serving(answer) as server:
        reported = failing(pods, request(http(server)))
        assert (reported.why, reported.pod, reported.address) == (why, "pod-1", "127.0.0.1")
        assert reported.tries in REPORTED_AFTER


def test_a_port_on_which_nobody_listens_is_reported_as_refused(pods: Pods) -> None:
    with serving(OK) as server:
        port = server.port
    assert failing(pods, request(TCPSocket(task_name="a", port=port))).why == "connection refused"


def test_a_server_that_is_silent_is_reported_with_the_time_that_it_had(pods: Pods) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        what = HTTPGet(task_name="a", port=silent.getsockname()[1])
        assert failing(pods, request(what, timeout=0.05)).why == "no answer within 0.05s"


def test_a_probe_that_fails_in_the_same_way_is_reported_after_3_tries_and_10_and_100(pods: Pods) -> None:
    with serving(b"HTTP/1.1 503 No\r\n\r\n") as server:
        failing(pods, request(http(server)))
        assert until(lambda: len(pods.tries) >= 60, 10.0)
        assert len(pods.woken) == 2, "once for 3 tries, once for 10"


def test_answers_that_alternate_do_not_requeue_the_workflow_at_every_try(pods: Pods) -> None:
    bad = [b"HTTP/1.1 503 No\r\n\r\n", b"HTTP/1.1 500 No\r\n\r\n"] * 40
    with serving(*bad) as server:
        failing(pods, request(http(server)))
        assert until(lambda: len(pods.tries) >= 60, 10.0)
        assert len(pods.woken) == 2


def test_the_report_is_taken_back_when_the_pods_are_others_or_nobody_asks(pods: Pods) -> None:
    with serving(b"HTTP/1.1 503 No\r\n\r\n") as server:
        one = request(http(server))
        failing(pods, one)
        pods.addresses = ()
        assert until(lambda: not pods.prober.answers(WORKFLOW), 10.0)
        pods.addresses = ("127.0.0.1",)
        failing(pods, one)
        pods.prober.want(WORKFLOW, [])
        assert until(lambda: not pods.prober.answers(WORKFLOW), 10.0)


def test_what_an_earlier_attempt_answered_is_not_reported_of_the_next(pods: Pods) -> None:
    with serving(b"HTTP/1.1 503 No\r\n\r\n") as server:
        first = request(http(server))
        failing(pods, first)
        pods.addresses = ()
        pods.woken.clear()
        pods.prober.want(WORKFLOW, [replace(first, attempt=1)])
        assert until(lambda: pods.woken == [KEY], 10.0)
        assert pods.prober.answers(WORKFLOW) == {}


def test_who_joins_a_poll_that_fails_is_told_so_at_once(pods: Pods) -> None:
    with serving(b"HTTP/1.1 503 No\r\n\r\n") as server:
        first = request(http(server))
        joins = replace(first, key=ProbeKey("c", "dependsOn.probe.y[0]", 0), threshold=2)
        failing(pods, first)
        assert until(lambda: pods.prober.answers(WORKFLOW)[first.key].tries == 10, 10.0)
        pods.woken.clear()
        pods.prober.want(WORKFLOW, [first, joins])
        assert until(lambda: pods.woken == [KEY], 1.0), "the next report is due after 100 tries"
        answers = pods.prober.answers(WORKFLOW)
        assert answers[joins.key] == answers[first.key]
        assert answers[joins.key].tries == 10


def test_a_probe_that_passes_after_all_is_not_reported_any_more(pods: Pods) -> None:
    with serving(*[b"HTTP/1.1 503 No\r\n\r\n"] * 5, OK) as server:
        one = request(http(server))
        failing(pods, one)
        assert until(lambda: one.key in pods.prober.passed(WORKFLOW), 10.0)
        assert pods.prober.answers(WORKFLOW) == {}


CHOICES: dict[str, tuple[PodChoice, bool, bool]] = {
    "All: one of two is not enough": (PodChoice.ALL, False, False),
    "All: both": (PodChoice.ALL, True, True),
    "Any: one of two is enough": (PodChoice.ANY, False, True),
}


@pytest.mark.parametrize(("choice", "second", "expected"), CHOICES.values(), ids=CHOICES)
def test_how_many_pods_must_answer(pods: Pods, choice: PodChoice, second: bool, expected: bool) -> None:
    with serving(OK) as first:
        pods.addresses = ("127.0.0.1", "127.0.0.2")
        wanted = request(http(first), pods=choice, period=0.02)
        if second:
            with serving(OK, address="127.0.0.2", port=first.port):
                assert pods.passes(wanted)
        elif expected:
            assert pods.passes(wanted)
        else:
            assert not pods.passes(wanted, within=0.1)


def test_the_first_try_comes_as_soon_as_an_address_is_known(pods: Pods) -> None:
    with serving(OK) as server:
        pods.addresses = ()
        assert not pods.passes(request(http(server), period=3600.0), within=0.03)
        assert pods.tries == [], "nobody is contacted without an address"
        pods.addresses = ("127.0.0.1",)
        pods.prober.pods_changed({WORKFLOW: [task("a")]})
        assert until(lambda: pods.woken == [KEY], 10.0)


def test_what_passed_for_an_earlier_attempt_does_not_count(pods: Pods) -> None:
    with serving(OK) as server:
        first = request(http(server))
        assert pods.passes(first)
        pods.addresses = ()
        pods.prober.want(WORKFLOW, [replace(first, attempt=1)])
        assert until(lambda: pods.prober.passed(WORKFLOW) == frozenset(), 10.0)


def test_many_flows_that_ask_the_same_of_the_same_pod_share_one_call(pods: Pods) -> None:
    with serving(b"HTTP/1.1 500 No\r\n\r\n", OK) as server:
        wanted = [
            request(http(server), key=ProbeKey(f"flow-{number}", "x", 0), period=0.2 + number / 1000)
            for number in range(200)
        ]
        pods.prober.want(WORKFLOW, wanted)
        assert until(lambda: len(pods.prober.passed(WORKFLOW)) == 200, 10.0)
        assert len(server.asked) <= 5


def test_the_prober_forgets_what_nobody_wants(pods: Pods) -> None:
    pods.prober.want(WORKFLOW, [request(TCPSocket("a", 9))])
    pods.prober.want(OTHER, [request(TCPSocket("a", 9))])
    assert until(lambda: len(pods.tries) > 4, 10.0)
    for workflow in (WORKFLOW, OTHER):
        pods.prober.want(workflow, ())
    assert until(lambda: (pods.prober._workflows, pods.prober._by_namespace) == ({}, {}), 10.0)
    assert (pods.prober._wanted, pods.prober._passed) == ({}, {})


def test_what_is_no_longer_wanted_is_not_tried_any_more(pods: Pods) -> None:
    with serving(b"HTTP/1.1 500 No\r\n\r\n") as server:
        assert pods.fails(request(http(server)), tries=2)
        pods.prober.want(WORKFLOW, ())
        time.sleep(0.03)
        tries = len(pods.tries)
        time.sleep(0.05)
        assert len(pods.tries) == tries


def test_to_want_the_same_again_starts_nothing_anew(pods: Pods) -> None:
    with serving(OK) as server:
        wanted = request(http(server), period=3600.0)
        assert pods.passes(wanted)
        assert pods.passes(wanted)
        assert len(server.asked) == 1


def test_pods_that_change_otherwise_do_not_hurry_the_tries(pods: Pods) -> None:
    with serving(OK) as server:
        pods.prober.want(WORKFLOW, [request(http(server), period=0.5, threshold=3)])
        began = time.monotonic()
        while time.monotonic() - began < 0.15:
            pods.prober.pods_changed({WORKFLOW: [task("a")]})
            time.sleep(0.001)
        assert len(pods.tries) <= 2
        assert until(lambda: pods.woken == [KEY], 10.0)


def test_a_change_of_another_replicas_pods_restarts_no_probe(pods: Pods) -> None:
    pods.addresses = ()
    pods.prober.want(WORKFLOW, [request(TCPSocket("a", 9), period=3600.0)])
    assert until(lambda: pods.looks == 1, 10.0)
    pods.prober.pods_changed({WORKFLOW: [task("a/1"), task("b")], OTHER: [task("a")]})
    pods.prober.pods_changed({WORKFLOW: [task("a")]})
    assert until(lambda: pods.looks > 1, 10.0)
    assert pods.looks == 2


def test_what_another_pod_answered_does_not_count(pods: Pods) -> None:
    with serving(OK) as first, serving(OK, address="127.0.0.2", port=first.port) as second:
        pods.prober.want(WORKFLOW, [request(http(first), period=0.2, threshold=2)])
        assert until(lambda: len(pods.tries) == 1, 10.0)
        pods.addresses = ("127.0.0.2",)
        pods.prober.pods_changed({WORKFLOW: [task("a")]})
        assert until(lambda: pods.woken == [KEY], 10.0)
        assert (len(first.asked), len(second.asked)) == (1, 2)


def test_pods_that_cannot_be_found_for_a_moment_are_looked_for_again(pods: Pods) -> None:
    with serving(OK) as server:
        answers = iter([RuntimeError("changed during iteration")])

        def addresses(_workflow: WorkflowId, _request: ProbeRequest) -> tuple[str, ...]:
            for error in answers:
                raise error
            return ("127.0.0.1",)

        pods.prober._addresses = addresses
        assert pods.passes(request(http(server)))


def test_a_try_that_fails_in_an_unknown_way_is_made_again(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(OK) as server, monkeypatch.context() as broken:
        broken.setattr("asyncio.open_connection", lambda *_args, **_how: 1 / 0)
        assert pods.fails(request(http(server)), tries=2)
        broken.undo()
        assert until(lambda: pods.woken == [KEY], 10.0)


def test_hundreds_of_silent_pods_delay_no_pod_that_answers(pods: Pods) -> None:
    with serving(OK) as server, socket.create_server(("127.0.0.9", server.port), backlog=2000):
        pods.prober._addresses = lambda _uid, one: ("127.0.0.9",) if one.asked.flow == "silent" else ("127.0.0.1",)
        silent = [
            request(http(server), key=ProbeKey("b", "x", number), asked=task(f"silent/{number}"), timeout=60.0)
            for number in range(300)
        ]
        pods.prober.want(WORKFLOW, silent)
        pods.prober.want(OTHER, [request(http(server))])
        assert until(lambda: pods.woken == ["team/other"], 10.0)


def test_a_pod_that_timed_out_delays_no_pod_of_the_same_workflow(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.controllers.workflow.prober.PROMPT_SHARE", 2)
    monkeypatch.setattr("pkg.controllers.workflow.prober.SILENT_SHARE", 1)
    with serving(b"HTTP/1.1 500 No\r\n\r\n", OK) as server, socket.create_server(("127.0.0.9", server.port)):
        pods.prober._addresses = lambda _uid, one: ("127.0.0.9",) if one.asked.flow == "silent" else ("127.0.0.1",)
        wanted = [
            request(http(server), key=ProbeKey("b", "x", number), asked=task(f"silent/{number}"), timeout=0.1)
            for number in range(40)
        ]
        pods.prober.want(WORKFLOW, wanted)
        assert until(lambda: len(pods.tries) >= 46, 20.0), "all have been asked once"
        began = time.monotonic()
        pods.prober.want(WORKFLOW, [*wanted, request(http(server))])
        assert until(lambda: bool(pods.prober.passed(WORKFLOW)), 20.0)
        assert time.monotonic() - began < 1.0, "in two slots 40 silent ones take two seconds"


def test_the_certificates_of_the_system_are_not_loaded_for_each_try() -> None:
    assert unverified() is unverified()
    assert unverified().cert_store_stats()["x509"] == 0
