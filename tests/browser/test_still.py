"""The still layer is moved as a picture while somebody drags the graph, and is the same afterwards."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage, wait_drawn
from tests.cluster.support import manifests as m
from tests.cluster.support.world import World

pytestmark = [pytest.mark.cluster, pytest.mark.browser]
PAINTER = "document.querySelector('.graph').painter"


def draws(page: Page) -> int:
    return int(page.evaluate(f"{PAINTER}.still.draws"))


def settle(page: Page) -> None:
    page.wait_for_timeout(400)


@pytest.fixture
def page(open_page: OpenPage, world: World) -> Page:
    """A graph in which nothing moves, larger than the view."""
    flows = [m.flow("flow-0")] + [m.flow(f"flow-{at}", f"flow-{(at - 1) // 3}") for at in range(1, 60)]
    world.create(m.workflow("large", *flows, suspend=True))
    page = open_page(f"/workflows/{world.namespace}/large/graph")
    wait_drawn(page)
    page.evaluate(f"{PAINTER}.zoomAt(0.9 / {PAINTER}.view.zoom, 500, 300)")
    settle(page)
    return page


def test_a_short_drag_draws_nothing_anew_until_it_is_over(page: Page) -> None:
    before = draws(page)
    # In one task of the page, so that a slow machine does not end the move in between.
    moved = page.evaluate(
        f"""async () => {{
          const {{ still }} = {PAINTER};
          const seen = [];
          for (let step = 0; step < 12; step++) {{
            {PAINTER}.pan(10, -5);
            {PAINTER}.paint(performance.now());
            seen.push(still.draws);
          }}
          return [seen, still.canvas.style.transform];
        }}"""
    )
    assert moved[0] == [before] * 12
    assert moved[1] == "translate(-72px, -252px)"
    settle(page)
    assert draws(page) == before + 1


@pytest.mark.parametrize(
    ("x", "y", "steps", "factor"),
    [(10, -5, 12, 1), (60, 0, 12, 1), (0, -70, 6, 1), (0, 0, 3, 1.05), (0, 0, 8, 1.2), (0, 0, 12, 0.8)],
    ids=["a little", "beyond the margin", "far up", "a little nearer", "much nearer", "far away"],
)
def test_after_a_move_it_is_as_if_it_were_drawn_there(
    page: Page, x: float, y: float, steps: int, factor: float
) -> None:
    for _ in range(steps):
        page.evaluate(f"{PAINTER}.pan({x}, {y})")
        page.evaluate(f"{PAINTER}.zoomAt({factor}, 400, 250)")
        page.wait_for_timeout(20)
    settle(page)
    after = page.locator(".graph").screenshot()
    page.evaluate(f"{PAINTER}.resize()")
    settle(page)
    assert page.locator(".graph").screenshot() == after


def test_while_it_slides_the_picture_is_the_one_that_is_drawn_there(page: Page) -> None:
    """Pixel by pixel of what is seen, but for edges whose place is rounded otherwise."""
    where, different, count = page.evaluate(
        f"""() => {{
          const {{ still, size, ratio }} = {PAINTER};
          const [w, h] = [size.w * ratio, size.h * ratio];
          const copy = new OffscreenCanvas(w, h).getContext('2d', {{ willReadFrequently: true }});
          const pixels = (x, y) => {{
            copy.clearRect(0, 0, w, h);
            copy.drawImage(still.canvas, -x * ratio, -y * ratio);
            return copy.getImageData(0, 0, w, h).data;
          }};
          {PAINTER}.pan(40, 30);
          {PAINTER}.paint(performance.now());
          const [, x, y] = /translate\\((-?\\d+)px, (-?\\d+)px\\)/.exec(still.canvas.style.transform);
          const slid = pixels(-x, -y);
          {PAINTER}.isDirty = true;
          {PAINTER}.paint(performance.now());
          const drawn = pixels(still.margin, still.margin);
          let different = 0;
          let count = 0;
          for (let at = 3; at < drawn.length; at += 4) {{
            count += drawn[at] > 0;
            different += Math.abs(drawn[at] - slid[at]) > 60;
          }}
          return [[x, y], different, count];
        }}"""
    )
    assert where == ["-152", "-162"]
    assert count > 10_000
    assert different < count / 500


# Which flows have an orb, as seen: the colour of both layers at the places of their tasks.
RED = f"""() => {{
  const {{ still, orbs, view, size, ratio, scene }} = {PAINTER};
  const copy = new OffscreenCanvas(size.w * ratio, size.h * ratio).getContext('2d', {{ willReadFrequently: true }});
  copy.drawImage(still.canvas, -still.margin * ratio, -still.margin * ratio);
  copy.drawImage(orbs.canvas, 0, 0);
  return scene.boxes.filter((box, position) => {{
    const {{ x, y }} = orbs.place(position, 0);
    const at = [(x - view.x) * view.zoom * ratio, (y - view.y) * view.zoom * ratio].map(Math.round);
    const [red, green, blue] = copy.getImageData(...at, 1, 1).data;
    return red > 180 && green < 140 && blue < 140;
  }}).map((box) => box.name);
}}"""


@pytest.mark.parametrize("still", [False, True], ids=["moving", "reduced motion"])
@pytest.mark.parametrize("zoom", [0.2, 0.8], ids=["far", "near"])
def test_orbs_are_seen_far_and_near_where_tasks_run(
    open_page: OpenPage, world: World, zoom: float, still: bool
) -> None:
    names = ["first", "second", "third"]
    world.create(m.workflow("run", *m.chain(*names)))
    page = open_page(f"/workflows/{world.namespace}/run/graph", still=still)
    wait_drawn(page)
    page.evaluate(f"{PAINTER}.zoomAt({zoom} / {PAINTER}.view.zoom, 400, 250)")
    phases = dict.fromkeys(names, "Waiting")
    for name, before in zip(names, ("", *names), strict=False):
        phases |= {name: "Running"} | ({before: "Succeeded"} if before else {})
        flows = [{"name": each, "phase": phase, "attempts": 1} for each, phase in phases.items()]
        world.patch(f"{world.workflow_path('run')}/status", {"status": {"phase": "Running", "flows": flows}})
        deadline = time.monotonic() + 60
        while page.evaluate(f"{PAINTER}.orbs.isMoving") or page.evaluate(RED) != [name]:
            assert time.monotonic() < deadline, (page.evaluate(RED), name)
            page.wait_for_timeout(50)
        # Also once it is drawn anew, and while the picture slides.
        page.evaluate(f"{PAINTER}.isDirty = true")
        settle(page)
        assert page.evaluate(RED) == [name]
