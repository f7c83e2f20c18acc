"""Requests and their answers: the ASGI application without a server, and an API server that the test writes."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from structlog.testing import capture_logs

from pkg.dashboard.access.people import Auth
from pkg.dashboard.access.shares import AT_ONCE
from pkg.dashboard.site.visits import MAX_EACH, Stream
from pkg.kube.errors import Unauthorized
from tests.unit.dashboard.live.source import Source, workflow
from tests.unit.dashboard.site.bench import Bench, bench, counted


def test_it_is_ready_once_workflows_have_been_listed() -> None:
    """The kubelet asks by the address of the pod, which is no name of the dashboard."""

    async def run() -> None:
        by_address = {"host": "10.0.0.7:8787"}
        made = Bench(Source(workflow("w")), "", allow_actions=False)
        assert (await made.ask("/healthz", headers=by_address)).status == 200
        before = await made.ask("/readyz", headers=by_address)
        assert (before.status, b"have not been listed yet" in before.body) == (503, True)
        async with bench() as of:
            assert (await of.ask("/readyz", headers=by_address)).status == 200
        made.app.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "prefix", ["/team/flows", ""], ids=["a proxy that keeps the prefix", "a proxy that takes it away"]
)
def test_behind_a_prefix_every_address_works(prefix: str) -> None:
    async def run() -> None:
        async with bench(base_path="/team/flows") as of:
            page = await of.ask(f"{prefix}/workflows/team/w/graph")
            assert b'src="/team/flows/static/app.js"' in page.body
            assert b'name="base-path" content="/team/flows"' in page.body
            assert b'"/static/' not in page.body
            assert (await of.ask(f"{prefix}/static/app.js")).status == 200
            assert (await of.ask(f"{prefix}/api/workflows/team/w")).json["state"]["head"]["name"] == "w"
            assert (await of.ask(f"{prefix}/healthz")).status == 200
            assert (await of.ask("/team/flowsx/healthz")).status == 404

    asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "is_page"),
    [
        ("/workflows/team/w", True),
        ("/workflows/workflows/team/w", True),
        ("/workflows/team/w/logs/a/0", True),
        ("/workflows/replay", True),
        ("/workflows/api/workflows/team/w", False),
        ("/api/workflows/team/w", False),
        ("/workflows/static/app.js", False),
    ],
    ids=[
        "a page without the prefix",
        "a page with the prefix",
        "a task without the prefix",
        "a recording with the prefix",
        "a call with the prefix",
        "a call without the prefix",
        "a file with the prefix",
    ],
)
def test_the_prefix_may_be_how_pages_begin(path: str, is_page: bool) -> None:
    async def run() -> None:
        async with bench(base_path="/workflows") as of:
            found = await of.ask(path)
            assert (found.status, b"<noscript>" in found.body) == (200, is_page)

    asyncio.run(run())


def test_nobody_is_sent_to_an_address_without_the_prefix() -> None:
    async def run() -> None:
        async with bench(base_path="/flows") as of:
            for path in ("/flows/api/session/", "/api/session/", "/flows/static/app.js/"):
                assert (await of.ask(path)).status == 404

    asyncio.run(run())


def test_the_prefix_alone_is_the_list() -> None:
    async def run() -> None:
        async with bench(base_path="/flows") as of:
            assert b"<noscript>" in (await of.ask("/flows")).body

    asyncio.run(run())


def test_a_prefix_is_no_way_around_the_guard() -> None:
    """What calls the API server is not answered to a link of another site, with the prefix and without it."""

    async def run() -> None:
        link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        async with bench(base_path="/flows") as of:
            for path in ("/flows/api/session", "/api/session"):
                assert (await of.ask(path, headers=link)).status == 403
            assert (await of.ask("/flows/", headers=link)).status == 200

    asyncio.run(run())


def test_without_a_prefix_the_page_is_at_the_root() -> None:
    async def run() -> None:
        async with bench() as of:
            page = await of.ask("/")
            assert b'src="/static/app.js"' in page.body
            assert b'name="base-path" content=""' in page.body

    asyncio.run(run())


def test_a_scene_is_kept_and_still_asked_for_each_time() -> None:
    async def run() -> None:
        async with bench() as of:
            first = await of.ask("/api/workflows/team/w/scene")
            assert first.headers["cache-control"] == "private, no-cache"
            again = await of.ask("/api/workflows/team/w/scene", headers={"if-none-match": first.headers["etag"]})
            assert (again.status, again.body) == (304, b"")
            other = await of.ask("/api/workflows/team/w/scene", headers={"if-none-match": '"another"'})
            assert other.json["shape"] == first.headers["etag"].strip('"')
            refused = await of.ask("/api/workflows/team/w/scene", headers={"authorization": ""})
            assert refused.status == 401

    asyncio.run(run())


def test_a_logout_forgets_what_the_browser_keeps_and_ends_its_streams() -> None:
    async def run() -> None:
        async with bench(base_path="/flows") as of:
            person = of.people.of_token("abc")
            assert person is not None
            inside = {"authorization": "", "cookie": f"workflow-dashboard-80+flows={of.people.login('abc', person)}"}
            stream = asyncio.ensure_future(of.ask("/api/workflows/team/w/stream", headers=inside))
            while not of.visits.count(Stream.WORKFLOW):
                await asyncio.sleep(0.001)
            answer = await of.ask("/api/logout", "POST", headers=inside)
            assert answer.headers["clear-site-data"] == '"cache"'
            assert "Path=/flows;" in answer.headers["set-cookie"]
            assert b"event: state" in (await stream).body
            assert not of.visits.count(Stream.WORKFLOW)
            assert (await of.ask("/api/workflows", headers=inside)).status == 401

    asyncio.run(run())


def test_a_stream_ends_when_its_login_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pkg.dashboard.site.streams.RECHECK_SECONDS", 0.01)

    async def run() -> None:
        async with bench() as of:
            person = of.people.of_token("abc")
            assert person is not None
            value = of.people.login("abc", person)
            inside = {"authorization": "", "cookie": f"workflow-dashboard-80={value}"}
            stream = asyncio.ensure_future(of.ask("/api/workflows/team/w/stream", headers=inside))
            while not of.visits.count(Stream.WORKFLOW):
                await asyncio.sleep(0.001)
            of.people.logout(value)  # as at its end, without a request
            assert b"event: state" in (await stream).body
            assert counted(of, "dashboard_streams_ended_total", reason="Refused") == 1

    asyncio.run(run())


def test_one_person_gets_no_more_than_so_many_streams() -> None:
    async def run() -> None:
        async with bench() as of:
            leaves = asyncio.Event()
            most = MAX_EACH[Stream.WORKFLOW]
            path = "/api/workflows/team/w/stream"
            opened = []
            for number in range(most):
                opened.append(asyncio.ensure_future(of.ask(path, leaves=leaves)))
                while of.visits.count(Stream.WORKFLOW) <= number:
                    await asyncio.sleep(0.001)
            refused = await of.ask(path)
            assert (refused.status, "close some tabs" in refused.json["message"]) == (429, True)
            other = asyncio.ensure_future(
                of.ask(path, leaves=leaves, headers={"authorization": "Bearer of-somebody-else"})
            )
            while of.visits.count(Stream.WORKFLOW) <= most:
                await asyncio.sleep(0.001)
            leaves.set()
            await asyncio.gather(*opened, other)
            assert not of.visits.count(Stream.WORKFLOW)

    asyncio.run(run())


def test_who_asks_too_often_is_told_when_to_ask_again_and_others_are_not() -> None:
    async def run() -> None:
        async with bench(per_second=1.0) as of:
            path = "/api/workflows/team/w"
            # The first as one who is new.
            assert [(await of.ask(path)).status for _ in range(6)] == [200] * 6
            refused = await of.ask(f"{path}/actions/suspend", "POST", {})
            assert (refused.status, refused.headers["retry-after"]) == (429, "1")
            assert refused.json["message"] == "one person may ask 1 times a second; ask again in 1 s"
            assert [(await of.ask(free)).status for free in ("/api/session", "/", "/healthz")] == [200] * 3
            assert (await of.ask(path, headers={"authorization": "Bearer of-somebody-else"})).status == 200

    asyncio.run(run())


def test_who_waits_for_too_many_answers_is_refused_and_open_streams_are_no_answers_that_wait() -> None:
    async def run() -> None:
        source = Source(workflow("w"))
        async with bench(source, per_second=1_000.0) as of:
            leaves, gate = asyncio.Event(), threading.Event()
            path = "/api/workflows/team/w"
            assert (await of.ask(path)).status == 200
            streams = [asyncio.ensure_future(of.ask(f"{path}/stream", leaves=leaves)) for _ in range(AT_ONCE)]
            while of.visits.count(Stream.WORKFLOW) < AT_ONCE:
                await asyncio.sleep(0.001)
            source.gate = gate
            asked = [asyncio.ensure_future(of.ask(f"{path}/yaml")) for _ in range(AT_ONCE)]
            await asyncio.sleep(0)
            refused = await of.ask(path)
            assert (refused.status, refused.headers["retry-after"]) == (429, "1")
            assert "16 requests of one person are being answered" in refused.json["message"]
            gate.set()
            assert [(await each).status for each in asked] == [200] * AT_ONCE
            assert (await of.ask(path)).status == 200
            leaves.set()
            await asyncio.gather(*streams)

    asyncio.run(run())


def test_tokens_that_are_made_up_hold_up_only_those_who_are_new() -> None:
    async def run() -> None:
        source = Source(workflow("w"))
        async with bench(source, per_second=1.0) as of:
            path = "/api/workflows/team/w"

            async def ask(token: str) -> int:
                return (await of.ask(path, headers={"authorization": f"Bearer {token}"})).status

            async def log_in() -> int:
                return (await of.ask("/api/login", "POST", {"token": "abc"})).status

            assert [await ask("abc"), await log_in()] == [200, 200]
            source.refusal = Unauthorized("who is that?", status=401)
            assert [await ask(f"made-up-{number}") for number in range(10)] == [401] * 3 + [429] * 7
            source.refusal = None
            assert [await ask("abc"), await ask("of-somebody-new"), await log_in()] == [200, 429, 429]

    asyncio.run(run())


def test_who_logs_in_is_new_no_more() -> None:
    async def run() -> None:
        async with bench(per_second=1.0) as of:
            assert (await of.ask("/api/login", "POST", {"token": "abc"})).status == 200
            assert [(await of.ask("/api/workflows")).status for _ in range(6)] == [200] * 5 + [429]
            assert (await of.ask("/api/login", "POST", {"token": "abc"})).status == 200

    asyncio.run(run())


def test_who_started_it_is_not_bounded_alone() -> None:
    async def run() -> None:
        async with bench(per_second=1.0, auth=Auth.LOCAL) as of:
            assert [(await of.ask("/api/workflows/team/w")).status for _ in range(10)] == [200] * 10

    asyncio.run(run())


@pytest.mark.parametrize("action", ["suspend", "retry", "approve", "reject", "terminate"])
def test_nothing_is_changed_unless_it_was_started_for_that(action: str) -> None:
    async def run() -> None:
        async with bench(allow_actions=False) as of:
            answer = await of.ask(f"/api/workflows/team/w/actions/{action}", "POST", {})
            assert (answer.status, "--allow-actions" in answer.json["message"]) == (403, True)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-csrf-token": "wrong"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": ""}, 403),
    ],
    ids=["without the token of the page", "from another origin", "from no origin"],
)
def test_a_change_comes_from_the_page(headers: dict[str, str], status: int) -> None:
    async def run() -> None:
        async with bench() as of:
            answer = await of.ask("/api/workflows/team/w/actions/suspend", "POST", {}, headers=headers)
            assert answer.status == status

    asyncio.run(run())


@pytest.mark.parametrize(
    ("action", "body", "status", "said"),
    [
        ("fly", {}, 404, "there is no action 'fly'"),
        ("approve", {"target": 3}, 400, "the body cannot be read"),
        ("retry", {"flows": "a"}, 400, "the body cannot be read"),
        ("retry", {"parameters": {"x": 1}}, 400, "the body cannot be read"),
        ("approve", b'{"a":' * 20_000, 400, "nested too deeply"),
        ("approve", b"\xff", 400, "the body cannot be read"),
        ("retry", {"parameters": {"a b": "1"}}, 400, '"a b" is no name of a parameter: letters, digits'),
    ],
    ids=[
        "an action that there is not",
        "a target that is no text",
        "flows that are no list",
        "a parameter that is no text",
        "objects in objects without end",
        "bytes that are no text",
        "a parameter whose name is none",
    ],
)
def test_a_request_that_means_nothing(action: str, body: Any, status: int, said: str) -> None:
    async def run() -> None:
        async with bench() as of:
            answer = await of.ask(f"/api/workflows/team/w/actions/{action}", "POST", body)
            assert (answer.status, said in answer.json["message"]) == (status, True)

    asyncio.run(run())


def test_a_body_that_breaks_off_is_no_failure_of_the_dashboard() -> None:
    async def run() -> None:
        async with bench() as of:
            for path in ("/api/login", "/api/workflows/team/w/actions/suspend"):
                assert (await of.ask(path, "POST", b'{"tok', is_cut=True)).status == 400

    asyncio.run(run())


def test_a_failure_is_answered_and_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is raised beyond the answer, the server would log again."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    async def run() -> None:
        async with bench() as of:
            monkeypatch.setattr(of.people, "csrf", fail)
            with capture_logs() as logged:
                answer = await of.ask("/api/session")
            assert (answer.status, answer.json["message"]) == (500, "the dashboard failed; its log says more")
            assert [line["event"] for line in logged] == ["request failed"]

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/api/stream", "/api/workflows/team/w/stream"])
def test_the_headers_of_a_stream_alone_hold_none_open(path: str) -> None:
    async def run() -> None:
        async with bench() as of:
            assert (await of.ask(path, "HEAD")).headers["content-type"] == "text/event-stream"
            assert of.visits.count(Stream.LIST) + of.visits.count(Stream.WORKFLOW) == 0

    asyncio.run(run())


def test_a_log_is_that_of_a_flow_and_not_of_a_selector() -> None:
    async def run() -> None:
        async with bench() as of:
            answer = await of.ask("/api/workflows/team/w/logs?flow=a,b!=c")
            assert (answer.status, "flow is 'a,b!=c'" in answer.json["message"]) == (400, True)

    asyncio.run(run())


def test_requests_are_counted_by_route_and_never_by_what_a_client_chose() -> None:
    async def run() -> None:
        async with bench() as of:
            await of.ask("/api/workflows/team/w")
            await of.ask("/api/nothing/of/that/kind")
            await of.ask("/", headers={"host": "rebound.example"})
            route = "/api/workflows/{namespace}/{name}"
            assert counted(of, "dashboard_requests_total", path=route, code="200") == 1
            assert counted(of, "dashboard_requests_total", path="other", code="404") == 1
            assert counted(of, "dashboard_requests_total", path="other", code="403") == 1
            assert counted(of, "dashboard_request_duration_seconds_count", path=route) == 1

    asyncio.run(run())
