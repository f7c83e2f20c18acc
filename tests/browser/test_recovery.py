"""What the page does when answers are errors, come late, or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Error, Locator, Page, Route, expect

from tests.browser.conftest import OpenPage, wait_drawn
from tests.cluster.support import manifests as m
from tests.cluster.support.dashboard import serving
from tests.cluster.support.world import World

pytestmark = [pytest.mark.cluster, pytest.mark.browser]


def address(world: World, name: str, view: str = "graph") -> str:
    return f"/workflows/{world.namespace}/{name}/{view}"


def failing(times: int, status: int = 503) -> Callable[[Route], None]:
    """Answers so many requests with an error page, as a proxy does, and lets the others through."""
    left = [times]

    def answer(route: Route) -> None:
        left[0] -= 1
        if left[0] >= 0:
            route.fulfill(status=status, content_type="text/html", body="<h1>Service Unavailable</h1>")
        else:
            route.continue_()

    return answer


def flows(page: Page) -> list[str]:
    return page.get_by_role("complementary", name="Flows").locator(".flow").all_inner_texts()


@pytest.mark.parametrize("status", [502, 503])
def test_a_stream_that_a_proxy_refuses_is_opened_again(open_page: OpenPage, world: World, status: int) -> None:
    world.create(m.workflow("run", m.flow("first")))
    page = open_page("/replay", fails=True)
    page.route("**/stream", failing(2, status))
    page.goto(page.url.replace("/replay", address(world, "run")))
    expect(page.get_by_role("button", name="first")).to_be_visible()
    world.patch(world.workflow_path("run"), {"spec": {"flows": [m.flow("first"), m.flow("second")]}})
    expect(page.get_by_role("button", name="second")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="connected")).to_have_count(0)


def test_a_deleted_workflow_stays_gone_also_if_it_changed_just_before(open_page: OpenPage, world: World) -> None:
    world.create(m.workflow("run", m.flow("first")))
    page = open_page(address(world, "run"))
    wait_drawn(page)
    world.patch(world.workflow_path("run"), {"spec": {"suspend": True}})
    world.delete(world.workflow_path("run"))
    gone = page.get_by_text("There is no such workflow, or not any more.")
    expect(gone).to_be_visible()
    page.wait_for_timeout(500)
    expect(gone).to_be_visible()
    world.create(m.workflow("run", m.flow("other")))
    expect(page.get_by_role("button", name="other")).to_be_visible()
    expect(gone).to_have_count(0)


@pytest.mark.parametrize(("view", "rest"), [("timeline", "timeline"), ("events", "events"), ("yaml", "yaml")])
def test_an_answer_after_an_error_takes_the_error_away(open_page: OpenPage, world: World, view: str, rest: str) -> None:
    world.create(m.workflow("run", m.flow("first")))
    page = open_page("/replay", fails=True)
    place = f"**/api/workflows/*/run/{rest}"
    page.route(place, failing(1_000, 502))
    page.goto(page.url.replace("/replay", address(world, "run", view)))
    problem = page.get_by_role("alert").filter(has_text="HTTP 502")
    expect(problem).to_be_visible()
    page.unroute(place)
    expect(problem).to_have_count(0)
    expect(page.locator("[aria-busy]")).to_have_count(0)


def test_an_answer_that_a_later_question_has_overtaken_is_not_shown(open_page: OpenPage, world: World) -> None:
    for name in ("apple", "apricot", "banana"):
        world.create(m.workflow(name, m.flow("first")))
    page = open_page(f"/?namespace={world.namespace}")
    expect(page.get_by_role("link", name="banana")).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(lambda url: "q=a&" in url or url.endswith("q=a"), hold)
    search = page.get_by_role("searchbox")
    search.press_sequentially("ap")
    expect(page.get_by_role("link", name="banana")).to_have_count(0)
    assert held
    for route in held:
        with contextlib.suppress(Error):  # the page wants it no more
            route.continue_()
    page.wait_for_timeout(500)
    expect(page.get_by_role("link", name="banana")).to_have_count(0)
    expect(page.get_by_role("link", name="apricot")).to_be_visible()


def event(name: str, content: str) -> str:
    return f"event: {name}\ndata: {content}\n\n"


def test_a_log_whose_stream_breaks_off_loses_and_repeats_no_line(open_page: OpenPage, world: World) -> None:
    """The nodes of this cluster keep no logs, so the answers are written here."""
    world.create(m.workflow("run", m.flow("first")))
    pods = (
        '{"pods": [{"pod": "p", "flow": "first", "index": 0, "attempt": 0, "containers": ["main"], "ended": false}],'
        '"unread": [], "pod": "p", "container": "main", "lines": [], "gone": [], "follows": true}'
    )
    streams = [
        event("begin", "{}") + event("lines", '["one", "two"]'),
        event("begin", "{}") + event("lines", '["one", "two", "three"]') + event("end", '{"message": ""}'),
    ]
    empty = event("begin", "{}")
    page = open_page("/replay", fails=True)
    page.route("**/run/logs?*", lambda route: route.fulfill(content_type="application/json", body=pods))
    page.route(
        "**/run/logs/stream?*",
        lambda route: route.fulfill(content_type="text/event-stream", body=streams.pop(0) if streams else empty),
    )
    page.goto(page.url.replace("/replay", address(world, "run", "logs/first")))
    lines = page.get_by_label("Lines")
    expect(lines).to_have_text("one\ntwo\nthree")
    page.wait_for_timeout(2500)
    expect(lines).to_have_text("one\ntwo\nthree")


class Busy:
    """Answers each request that somebody asks too much, and when to ask again. asked: how many there were."""

    def __init__(self, after: int) -> None:
        self.asked = 0
        self._after = after

    def __call__(self, route: Route) -> None:
        self.asked += 1
        headers = {"retry-after": str(self._after)}
        route.fulfill(status=429, content_type="application/json", body='{"message": "too much"}', headers=headers)


def waits(page: Page) -> Locator:
    return page.get_by_role("status").filter(has_text="The page waits, and goes on by itself.")


def test_what_changes_something_is_not_sent_again_by_itself(
    open_page: OpenPage, kubeconfig: Path, world: World
) -> None:
    world.create(m.workflow("run", m.flow("first")))
    with serving(kubeconfig, "--allow-actions") as acting:
        page = open_page(address(world, "run"), of=acting, fails=True)
        busy = Busy(after=1)
        page.route("**/run/actions/suspend", busy)
        button = page.get_by_role("button", name="Suspend")
        button.click()
        expect(page.get_by_role("status").filter(has_text="too much")).to_be_visible()
        expect(waits(page)).to_have_count(0)
        page.wait_for_timeout(2_500)
        assert busy.asked == 1
        page.unroute("**/run/actions/suspend")
        button.click()
        expect(page.get_by_role("status").filter(has_text="run suspended")).to_be_visible()


def test_a_list_that_was_told_to_wait_waits_while_workflows_change(open_page: OpenPage, world: World) -> None:
    world.create(m.workflow("run", m.flow("first")))
    page = open_page("/replay", fails=True)
    busy = Busy(after=6)
    page.route("**/api/workflows?*", busy)
    page.goto(page.url.replace("/replay", f"/?namespace={world.namespace}"))
    expect(waits(page)).to_be_visible()
    page.wait_for_timeout(500)
    before = busy.asked
    for number in range(3):
        world.create(m.workflow(f"later-{number}", m.flow("first")))
        page.wait_for_timeout(1_300)
    assert busy.asked == before
    page.unroute("**/api/workflows?*")
    expect(page.get_by_role("link", name="later-2")).to_be_visible()
    expect(waits(page)).to_have_count(0)


@pytest.mark.parametrize(("view", "refused"), [("replay", "/recording"), ("graph", "")])
def test_a_page_that_was_left_asks_no_more(open_page: OpenPage, world: World, view: str, refused: str) -> None:
    """A stream that is refused again and again has one question open, and not one for each time."""
    world.create(m.workflow("run", m.flow("first")))
    page = open_page("/replay", fails=True)
    busy, streams = Busy(after=20), Busy(after=20)
    page.route(f"**/api/workflows/*/run{refused}", busy)
    page.route("**/run/stream", streams)
    page.goto(page.url.replace("/replay", address(world, "run", view)))
    expect(waits(page)).to_be_visible()
    while streams.asked < 3:
        page.wait_for_timeout(100)
    assert busy.asked == 1
    page.get_by_role("link", name="Open a recording").click()
    expect(waits(page)).to_have_count(0, timeout=2_000)
