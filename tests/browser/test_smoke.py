"""One look at the page: the list and the graph are there, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.cluster.support import manifests as m
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster


def test_the_list_leads_to_a_graph(open_page: OpenPage, world: World) -> None:
    world.create(m.workflow("smoke", *m.chain("first", "second"), m.flow("third")))
    page = open_page(f"/?namespace={world.namespace}")
    page.get_by_role("link", name="smoke").click()
    flows = page.get_by_role("complementary", name="Flows")
    expect(flows.get_by_role("button", name="first")).to_be_visible()
    expect(page.get_by_role("heading", name="smoke")).to_be_visible()
    box = page.evaluate("document.querySelector('.graph').painter.scene.boxes.map((box) => box.name)")
    assert box == ["first", "second", "third"]
    world.patch(
        world.workflow_path("smoke"),
        {"spec": {"flows": [*m.chain("first", "second"), m.flow("third"), m.flow("fourth")]}},
    )
    expect(flows.get_by_role("button", name="fourth")).to_be_visible()
