"""The page on narrow screens and with the longest names: nothing lies over anything else, and the graph can be read."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, wait_drawn
from tests.cluster.support import manifests as m
from tests.cluster.support.world import World
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.browser]
PAINTER = "document.querySelector('.graph').painter"
LONG = ".".join(["a-name-of-sixty-three-letters-as-it-is-made-by-some-program-abc"] * 4)[:253]
FLOW = "a-flow-with-a-name-as-long-as-it-may-be-x"
VIEWS = ("graph", f"graph/{FLOW}", "timeline", f"logs/{FLOW}", "events", "yaml", "replay")

# Pieces of text that leave the window, or lie over another one. What scrolls by itself may leave it.
FAULTS = """() => {
  const scrolls = (element) => {
    for (let at = element; at && at.tagName !== 'MAIN'; at = at.parentElement) {
      if (['auto', 'scroll', 'hidden'].includes(getComputedStyle(at).overflowX)) return true;
    }
    return false;
  };
  const pieces = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    const text = walk.currentNode.textContent.trim();
    if (!text || element.closest('option, .sr, noscript, pre, canvas, .axis, .player, .zoom')) continue;
    const range = document.createRange();
    range.selectNodeContents(walk.currentNode);
    const area = element.getBoundingClientRect();
    for (const { left, right, top, bottom } of range.getClientRects()) {
      // Lines that an ellipsis stands for are beyond their element.
      if (right - left < 2 || (top + bottom) / 2 >= area.bottom) continue;
      pieces.push({ text: text.slice(0, 60), element, left, right, top, bottom, scrolls: scrolls(element) });
    }
  }
  const found = [];
  const { innerWidth } = window;
  const main = document.querySelector('main').getBoundingClientRect();
  if (document.documentElement.scrollWidth > innerWidth) found.push('the page is wider than the window');
  for (const piece of pieces) {
    if (!piece.scrolls && piece.right > innerWidth + 1) found.push(`beyond the window: ${piece.text}`);
  }
  pieces.forEach((one, at) => {
    for (const other of pieces.slice(at + 1)) {
      if (other.element === one.element) continue;
      const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (wide > 2 && high > 5) found.push(`${one.text} / ${other.text}`);
    }
  });
  const list = document.querySelector('main.list');
  if (list && list.scrollWidth > list.clientWidth) found.push('the list is wider than the window');
  return found;
}"""


def look(page: Page, width: int) -> list[str]:
    page.set_viewport_size({"width": width, "height": 740})
    page.wait_for_timeout(300)
    found: list[str] = page.evaluate(FAULTS)
    return found


@pytest.fixture
def long(world: World) -> str:
    """The address of a failed workflow in which everything has the longest name."""
    after = {"name": "second", "template": "step", "dependsOn": {"targets": [FLOW]}}
    made = world.create(m.workflow(LONG, {"name": FLOW, "template": "step"}, after))
    message = (
        f"job {LONG[:63]}, pod {LONG[:63]}-abcde, container main: exit code 1; a reason that is explained at length"
    )
    flows = [
        {"name": FLOW, "phase": "Failed", "attempts": 3, "reason": "Failed", "message": message},
        {"name": "second", "phase": "Skipped", "reason": "TargetFailed", "message": f"it waited for {FLOW}"},
    ]
    status: dict[str, Any] = {"phase": "Failed", "reason": "TaskFailed", "message": message, "flows": flows}
    status |= {"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:09Z"}
    world.patch(f"{world.workflow_path(LONG)}/status", {"status": status})
    about = {"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "Workflow", "name": LONG}
    about |= {"namespace": world.namespace, "uid": made["metadata"]["uid"]}
    event: dict[str, Any] = {
        "metadata": {"name": "one"},
        "involvedObject": about,
        "reason": "TaskFailed",
        "message": message,
    }
    event |= {"type": "Warning", "count": 3, "lastTimestamp": "2026-01-01T00:00:09Z"}
    world.api.request("POST", f"/api/v1/namespaces/{world.namespace}/events", event)
    return f"/workflows/{world.namespace}/{LONG}"


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_lies_over_anything_else(open_page: OpenPage, long: str, view: str) -> None:
    page = open_page(f"{long}/{view}", still=True)
    expect(page.locator(".facts .phase")).to_have_text("Failed")
    expect(page.locator("[aria-busy]")).to_have_count(0)
    assert {width: found for width in (320, 390, 768, 1280) if (found := look(page, width))} == {}
    page.set_viewport_size({"width": 320, "height": 740})
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_list_has_room_for_its_columns(open_page: OpenPage, world: World, long: str) -> None:
    assert long
    page = open_page(f"/?namespace={world.namespace}", still=True)
    expect(page.get_by_role("row")).to_have_count(2)
    assert {width: found for width in (320, 390, 768, 1280) if (found := look(page, width))} == {}
    expect(page.locator("td.wide.why")).to_contain_text("exit code 1")
    page.set_viewport_size({"width": 320, "height": 740})
    expect(page.locator("td.name .why")).to_contain_text("exit code 1")


def view_of(page: Page) -> tuple[float, list[str]]:
    """The zoom, and the flows whose boxes are seen whole."""
    found = page.evaluate(
        f"""() => {{
          const {{ view, size, scene }} = {PAINTER};
          const [right, bottom] = [view.x + size.w / view.zoom, view.y + size.h / view.zoom];
          const isSeen = ({{ x, y, w, h }}) => x >= view.x && y >= view.y && x + w <= right && y + h <= bottom;
          return [view.zoom, scene.boxes.filter(isSeen).map((box) => box.name)];
        }}"""
    )
    return found[0], found[1]


def test_on_a_phone_the_graph_is_near_and_follows_what_runs(open_page: OpenPage, world: World) -> None:
    names = [f"flow-{at}" for at in range(8)]
    world.create(m.workflow("long", *m.chain(*names)))
    page = open_page(f"/workflows/{world.namespace}/long/graph", phone=True, still=True)
    wait_drawn(page)

    def runs(name: str) -> None:
        flows = [{"name": each, "phase": "Running" if each == name else "Waiting"} for each in names]
        world.patch(f"{world.workflow_path('long')}/status", {"status": {"phase": "Running", "flows": flows}})
        expect(page.locator("li").filter(has_text=name).get_by_text("Running")).to_be_visible()

    def sees(name: str) -> None:
        until(lambda: name in view_of(page)[1])  # the text is there before the frame

    zoom, seen = view_of(page)
    assert (zoom, seen[:1]) == (0.8, ["flow-0"])
    for name in ("flow-4", "flow-7", "flow-0"):
        runs(name)
        sees(name)
    page.get_by_role("button", name="Show all").click()
    assert view_of(page)[1] == names
    page.get_by_role("button", name="Zoom in").click()
    before = view_of(page)
    runs("flow-7")
    assert view_of(page) == before, "what somebody has chosen to see stays"


def test_a_scene_of_any_size_can_be_shown_whole(open_page: OpenPage, world: World) -> None:
    world.create(m.workflow("tall", *(m.flow(f"flow-{at}") for at in range(900))))
    page = open_page(f"/workflows/{world.namespace}/tall/graph")
    wait_drawn(page)
    assert len(view_of(page)[1]) == 900
    for _ in range(3):
        page.get_by_role("button", name="Zoom out").click()
    assert len(view_of(page)[1]) == 900
