"""What somebody sees while the API server is away, and when their own token is not taken any more."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from hack.cluster import Cluster
from tests.browser.conftest import OpenPage, wait_drawn
from tests.cluster.support import manifests as m
from tests.cluster.support.access import READ, token_of
from tests.cluster.support.dashboard import Browser as Client
from tests.cluster.support.world import World

pytestmark = [pytest.mark.cluster, pytest.mark.browser]


def test_the_api_server_goes_away_and_comes_back(open_page: OpenPage, world: World, cluster: Cluster) -> None:
    world.create(m.workflow("seen", m.flow("first")))
    listed = open_page(f"/?namespace={world.namespace}", fails=True)
    graph = open_page(f"/workflows/{world.namespace}/seen/graph", fails=True)
    expect(listed.get_by_role("link", name="seen")).to_be_visible()
    wait_drawn(graph)
    said = [page.get_by_role("status").filter(has_text="The API server cannot be") for page in (listed, graph)]
    cluster.stop_component("kube-apiserver")
    try:
        for words in said:
            expect(words).to_be_visible(timeout=90_000)
        # What was there before stays, and can be looked at.
        expect(listed.get_by_role("link", name="seen")).to_be_visible()
        expect(graph.get_by_role("button", name="first")).to_be_visible()
    finally:
        cluster.start_component("kube-apiserver")
    for words in said:
        expect(words).to_have_count(0, timeout=120_000)
    flows = [m.flow("first"), m.flow("second")]
    world.patch(world.workflow_path("seen"), {"spec": {"flows": flows}})
    world.create(m.workflow("later", m.flow("first")))
    expect(graph.get_by_role("button", name="second")).to_be_visible()
    expect(listed.get_by_role("link", name="later")).to_be_visible()


@pytest.mark.parametrize("view", ["", "/graph"], ids=["list", "graph"])
def test_a_token_that_has_expired_leads_to_the_login_and_back(
    open_page: OpenPage, shared: Client, world: World, view: str
) -> None:
    """A token ends with its service account, as it does after its time."""
    world.create(m.workflow("seen", m.flow("first")))
    first, second = token_of(world, "first", READ), token_of(world, "second", READ)
    place = f"/workflows/{world.namespace}/seen{view}" if view else f"/?namespace={world.namespace}"
    page = open_page(place, of=shared, fails=True)
    field = page.get_by_label("Token")
    expect(field).to_be_focused()
    expect(page.get_by_role("alert")).to_have_count(0)
    field.fill("no token")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    field.fill(first)
    page.keyboard.press("Enter")
    there = page.get_by_role("button", name="first") if view else page.get_by_role("link", name="seen")
    expect(there).to_be_visible()
    world.api.request("DELETE", f"/api/v1/namespaces/{world.namespace}/serviceaccounts/first")
    expect(page.get_by_role("alert").filter(has_text="its token has expired")).to_be_visible(timeout=90_000)
    field.fill(second)
    page.keyboard.press("Enter")
    expect(there).to_be_visible()
    assert place in page.url
