"""The still layer is moved as a picture while somebody drags the graph, and is the same afterwards."""

from __future__ import annotations

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
          const {{ still, size }} = {PAINTER};
          const copy = new OffscreenCanvas(size.w, size.h).getContext('2d', {{ willReadFrequently: true }});
          const pixels = (x, y) => {{
            copy.clearRect(0, 0, size.w, size.h);
            copy.drawImage(still.canvas, -x, -y);
            return copy.getImageData(0, 0, size.w, size.h).data;
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
