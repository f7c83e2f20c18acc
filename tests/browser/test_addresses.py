"""What a view shows is in its address: a link that is opened by somebody else, or a reload, shows the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, start, wait_drawn
from tests.cluster.support import manifests as m
from tests.cluster.support.world import World

pytestmark = [pytest.mark.cluster, pytest.mark.browser]


@pytest.fixture(scope="module")
def run(running: World) -> str:
    """The address of a run that has ended, with a failed attempt, and a flow with `for`."""
    start(running, "03-retry")
    start(running, "02-parallel-for")
    running.wait_phase("retry")
    running.wait_phase("parallel-for")
    return f"/workflows/{running.namespace}"


@dataclass(frozen=True)
class Case:
    """view: what is opened; act: what somebody does there; check: what is seen afterwards, and in the shared link."""

    view: str
    act: Callable[[Page], None]
    check: Callable[[Page], None]


def _choose_flow(page: Page) -> None:
    wait_drawn(page)
    page.get_by_role("searchbox", name="Search flows").fill("down")
    page.get_by_role("complementary", name="Flows").get_by_role("button", name="download").click()


def _sees_flow(page: Page) -> None:
    wait_drawn(page)
    expect(page.get_by_role("searchbox", name="Search flows")).to_have_value("down")
    expect(page.get_by_role("region", name="Flow download")).to_be_visible()
    assert page.evaluate("document.querySelector('.graph').painter.chosen") >= 0


def _search(name: str, text: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("searchbox", name=name).fill(text)


def _searched(name: str, text: str) -> Callable[[Page], None]:
    return lambda page: expect(page.get_by_role("searchbox", name=name)).to_have_value(text)


def _choose_task(page: Page) -> None:
    page.get_by_role("combobox", name="Flow").select_option("train")
    page.get_by_role("combobox", name="Index").select_option("2")
    page.get_by_role("searchbox", name="Search in the log").fill("loss")
    page.get_by_role("checkbox", name="follow").uncheck()


def _sees_task(page: Page) -> None:
    expect(page.get_by_role("combobox", name="Flow")).to_have_value("train")
    expect(page.get_by_role("combobox", name="Index")).to_have_value("2")
    expect(page.get_by_role("searchbox", name="Search in the log")).to_have_value("loss")
    expect(page.get_by_role("checkbox", name="follow")).not_to_be_checked()


def _choose_moment(page: Page) -> None:
    wait_drawn(page)
    page.get_by_role("complementary", name="Flows").get_by_role("button", name="download").click()
    page.get_by_role("combobox", name="Speed").select_option("2")
    slider = page.get_by_role("slider", name="Time")
    slider.focus()
    for _ in range(3):
        slider.press("PageUp")
    page.wait_for_url("**at=*")


def _sees_moment(page: Page) -> None:
    """A tenth of a slider is its PageUp."""
    wait_drawn(page)
    slider = page.get_by_role("slider", name="Time")
    expect(page.get_by_role("combobox", name="Speed")).to_have_value("2")
    expect(page.get_by_role("region", name="Flow download")).to_be_visible()
    at, most = float(slider.input_value()), float(slider.get_attribute("max") or 0)
    assert at == pytest.approx(0.3 * most, rel=0.01)


def _choose_end(page: Page) -> None:
    wait_drawn(page)
    page.get_by_role("slider", name="Time").press("End")
    page.wait_for_url("**at=*")


def _sees_end(page: Page) -> None:
    expect(page.locator(".then")).to_contain_text("Succeeded")


CASES = {
    "graph: search and flow": Case("/retry/graph", _choose_flow, _sees_flow),
    "timeline: search": Case("/retry/timeline", _search("Search tasks", "up"), _searched("Search tasks", "up")),
    "log: flow, index, search, follow": Case("/parallel-for/logs", _choose_task, _sees_task),
    "events: search": Case("/retry/events", _search("Search Events", "fail"), _searched("Search Events", "fail")),
    "replay: moment, flow, speed": Case("/retry/replay", _choose_moment, _sees_moment),
    "replay: the end": Case("/retry/replay", _choose_end, _sees_end),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_shared_link_shows_the_same(open_page: OpenPage, run: str, case: Case) -> None:
    page = open_page(run + case.view)
    expect(page.locator("[aria-busy]")).to_have_count(0)
    case.act(page)
    case.check(page)
    url = urlsplit(page.url)
    other = open_page(f"{url.path}?{url.query}")
    case.check(other)
    page.reload()
    case.check(page)


def test_the_list_too(open_page: OpenPage, world: World) -> None:
    for number in range(3):
        world.create(m.workflow(f"pick-{number}", m.flow("first")))
    page = open_page("/")
    page.get_by_role("combobox", name="Namespace").select_option(world.namespace)
    page.get_by_role("searchbox").fill("pick")
    page.get_by_role("button", name="Name").click()
    page.get_by_role("button", name="Name").click()
    expect(page.get_by_role("row")).to_have_count(4)
    other = open_page(page.url.partition(f":{urlsplit(page.url).port}")[2])
    for each in (page, other):
        expect(each.get_by_role("row")).to_have_count(4)
        expect(each.get_by_role("combobox", name="Namespace")).to_have_value(world.namespace)
        expect(each.get_by_role("searchbox")).to_have_value("pick")
        names = each.get_by_role("row").locator("td.name a")
        expect(names).to_have_text(["pick-0", "pick-1", "pick-2"])


def test_while_it_plays_the_address_follows(open_page: OpenPage, run: str) -> None:
    page = open_page(f"{run}/retry/replay?speed=0.25")
    wait_drawn(page)
    page.get_by_role("button", name="Play").click()
    page.wait_for_url("**at=*")
    first = page.url
    page.wait_for_url(lambda url: url != first)
    page.get_by_role("button", name="Pause").click()
    page.wait_for_timeout(700)
    assert parse_qs(urlsplit(page.url).query)["speed"] == ["0.25"]
    at = page.get_by_role("slider", name="Time").input_value()
    page.reload()
    assert float(page.get_by_role("slider", name="Time").input_value()) == pytest.approx(float(at), abs=0.02)


def test_the_duration_in_a_replay_is_that_of_its_moment(open_page: OpenPage, run: str) -> None:
    """A flow that runs at this moment has not run until now."""
    page = open_page(f"{run}/retry/replay/download")
    wait_drawn(page)
    slider = page.get_by_role("slider", name="Time")
    for _ in range(100):
        slider.press("ArrowRight")
        if page.get_by_role("region", name="Flow download").get_by_text("Running").count():
            break
    shown = page.get_by_role("region", name="Flow download").locator("dt:text('Duration') + dd").inner_text()
    assert float(shown.removesuffix("s")) <= float(slider.get_attribute("max") or 0)
