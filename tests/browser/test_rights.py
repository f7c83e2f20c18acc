"""What somebody reads in the page who has few rights, or asks too much."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, wait_drawn
from tests.cluster.support import manifests as m
from tests.cluster.support.access import READ, allow, token_of
from tests.cluster.support.dashboard import Browser as Client
from tests.cluster.support.dashboard import serving
from tests.cluster.support.world import World

pytestmark = [pytest.mark.cluster, pytest.mark.browser]


def log_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.keyboard.press("Enter")


def test_who_may_list_nothing_reads_what_right_it_takes(
    open_page: OpenPage, shared: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pkg.dashboard.access.rights.ALLOWED_SECONDS", 1.0)  # so long holds a refusal, too
    world.create(m.workflow("hidden", m.flow("first")))
    page = open_page("/", of=shared, fails=True)
    log_in(page, token_of(world, "nobody"))
    said = page.get_by_text("and no Workflow was found in a namespace where you may list them.")
    expect(said).to_be_visible()
    expect(page.get_by_text("It takes the right to list workflows.flow.workflow.sh.")).to_be_visible()
    expect(page.get_by_text("If you have it in one namespace, open /?namespace=NAME.")).to_be_visible()
    expect(page.get_by_text("There is no workflow yet")).to_have_count(0)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    allow(world, "nobody", READ)
    expect(page.get_by_role("link", name="hidden")).to_be_visible()
    expect(said).to_have_count(0)


def test_who_may_list_one_namespace_reads_that_another_is_not_theirs(
    open_page: OpenPage, shared: Client, new_world: Callable[[], World]
) -> None:
    mine, other = new_world(), new_world()
    mine.create(m.workflow("mine", m.flow("first")))
    other.create(m.workflow("hidden", m.flow("first")))
    page = open_page(f"/?namespace={other.namespace}", of=shared, fails=True)
    log_in(page, token_of(mine, "reader", READ))
    expect(page.get_by_text(f"You may not list Workflows in the namespace {other.namespace}.")).to_be_visible()
    expect(page.get_by_text("It takes the right to list workflows.flow.workflow.sh there.")).to_be_visible()
    page.get_by_label("Namespace", exact=True).select_option("")
    expect(page.get_by_role("link", name="mine")).to_be_visible()
    expect(page.get_by_text("You may not list")).to_have_count(0)


def test_who_may_list_a_namespace_without_workflows_looks_at_it_and_sees_the_first_one(
    open_page: OpenPage, shared: Client, new_world: Callable[[], World]
) -> None:
    mine, other = new_world(), new_world()
    other.create(m.workflow("hidden", m.flow("first")))
    page = open_page("/", of=shared, fails=True)
    log_in(page, token_of(mine, "reader", READ))
    expect(page.get_by_text("no Workflow was found in a namespace where you may list them.")).to_be_visible()
    page.goto(f"{page.url}?namespace={mine.namespace}")
    expect(page.get_by_text("There is no workflow yet")).to_be_visible()
    expect(page.get_by_label("Namespace", exact=True)).to_have_value(mine.namespace)
    expect(page.get_by_text("You may not list")).to_have_count(0)
    mine.create(m.workflow("mine", m.flow("first")))
    expect(page.get_by_role("link", name="mine")).to_be_visible()


def test_who_asks_more_than_one_person_may_waits_and_goes_on(
    open_page: OpenPage, kubeconfig: Path, world: World
) -> None:
    world.create(m.workflow("seen", m.flow("first")))
    with serving(kubeconfig, "--auth=token", "--requests-per-second=0.5") as slow:
        page = open_page(f"/?namespace={world.namespace}", of=slow, fails=True)
        waits = page.get_by_role("status").filter(has_text="The page waits, and goes on by itself.")
        log_in(page, token_of(world, "reader", READ))
        expect(waits).to_be_visible()
        page.get_by_role("link", name="seen").click()
        wait_drawn(page)
        expect(page.get_by_role("button", name="first")).to_be_visible()
        expect(waits).to_have_count(0)
        expect(page.get_by_text("times a second")).to_have_count(0)


def test_a_login_at_another_port_leaves_the_first_one(
    open_page: OpenPage, shared: Client, kubeconfig: Path, world: World
) -> None:
    world.create(m.workflow("seen", m.flow("first")))
    token = token_of(world, "reader", READ)
    place = f"/?namespace={world.namespace}"
    with serving(kubeconfig, "--auth=token") as other:
        page = open_page(place, of=shared, beside=[other])
        link = page.get_by_role("link", name="seen")
        for each in (shared, other):
            page.goto(f"http://127.0.0.1:{each.port}{place}")
            log_in(page, token)
            expect(link).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Token")).to_be_visible()
        page.goto(f"http://127.0.0.1:{shared.port}{place}")
        expect(link).to_be_visible()
