"""What a person does in the page, where the dashboard was started with --allow-actions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, picture, wait_drawn
from tests.cluster.support import manifests as m
from tests.cluster.support.dashboard import Browser as Client
from tests.cluster.support.dashboard import serving
from tests.cluster.support.world import World

pytestmark = [pytest.mark.cluster, pytest.mark.browser]
BASE = "/team/flows"


@pytest.fixture(scope="module")
def acting(kubeconfig: Path) -> Iterator[Client]:
    """A dashboard in which people may act, behind a prefix."""
    with serving(kubeconfig, "--allow-actions", f"--base-path={BASE}") as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def _step(running: World) -> None:
    running.create(m.template("step", run_for="0.1s"))


def open_graph(open_page: OpenPage, acting: Client, world: World, name: str, flow: str = "", **how: bool) -> Page:
    page = open_page(f"{BASE}/workflows/{world.namespace}/{name}/graph/{flow}".rstrip("/"), of=acting, **how)
    wait_drawn(page)
    return page


def axe(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_suspend_resume_and_stop(open_page: OpenPage, acting: Client, running: World) -> None:
    running.create(m.template("long", run_for="600s"))
    running.create(m.workflow("held", m.flow("first", of="long"), m.flow("second", "first", of="long")))
    page = open_graph(open_page, acting, running, "held")
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_role("status").filter(has_text="held suspended")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Suspend")).to_be_visible()
    page.get_by_role("button", name="Terminate").click()
    dialog = page.get_by_role("dialog", name="Terminate held?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert not running.api.get(running.workflow_path("held"))["spec"].get("shutdown")
    page.get_by_role("button", name="Terminate").click()
    dialog.get_by_role("button", name="Terminate").click()
    expect(page.locator(".facts .phase")).to_have_text("Failed")


@pytest.mark.parametrize(("decision", "phase"), [("Approve", "Succeeded"), ("Reject", "Failed")])
def test_a_decision(open_page: OpenPage, acting: Client, running: World, decision: str, phase: str) -> None:
    name = f"ask-{decision.lower()}"
    release = {"name": "release", "approval": {"message": "Deploy?"}, "dependsOn": {"targets": ["build"]}}
    running.create(m.workflow(name, m.flow("build"), release))
    page = open_graph(open_page, acting, running, name)
    link = page.get_by_role("alert").get_by_role("link", name="Go to release")
    link.click()
    group = page.get_by_role("group", name="Decide about release")
    group.get_by_role("textbox", name="Comment").fill("looked at it")
    axe(page)
    picture(page, f"approval-{decision.lower()}")
    group.get_by_role("button", name=decision).click()
    expect(page.locator(".facts .phase")).to_have_text(phase)
    (given,) = running.api.get(running.workflow_path(name))["spec"]["approvals"]
    assert (given["flow"], given["decision"], given["comment"]) == ("release", decision, "looked at it")


def test_a_retry_says_first_what_runs_again(open_page: OpenPage, acting: Client, running: World) -> None:
    running.create(m.template("bad", run_for="0.1s", fail_until_attempt="1"))
    running.create(m.workflow("broken", m.flow("good"), m.flow("bad", of="bad"), m.flow("after", "bad")))
    page = open_graph(open_page, acting, running, "broken")
    expect(page.locator(".facts .phase")).to_have_text("Failed")
    page.get_by_role("button", name="Retry").click()
    dialog = page.get_by_role("dialog", name="Retry broken?")
    expect(dialog.get_by_role("listitem")).to_have_text(["badwas failed", "afterwas skipped"])
    axe(page)
    picture(page, "retry-dialog")
    dialog.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status").filter(has_text="broken retried: 2 tasks run again")).to_be_visible()
    restart = running.api.get(running.workflow_path("broken"))["spec"]["restart"]
    assert restart["at"]


def test_a_retry_with_another_parameter(open_page: OpenPage, acting: Client, running: World) -> None:
    template = m.template("worded", parameters={"speed": "slow"}, run_for="0.1s", fail_until_attempt="2")
    template["spec"]["jobSpec"]["template"]["metadata"]["labels"] = {"words": "{{params.words}}-{{params.speed}}"}
    running.create(template)
    listed = [{"name": "words", "value": "first"}, {"name": "other", "value": "kept"}]
    running.create(m.workflow("worded", m.flow("good"), m.flow("bad", of="worded"), parameters=listed))
    page = open_graph(open_page, acting, running, "worded")
    expect(page.locator(".facts .phase")).to_have_text("Failed")
    page.get_by_role("button", name="Retry").click()
    dialog = page.get_by_role("dialog", name="Retry worded?")
    dialog.get_by_text("With the same parameters").click()
    words = dialog.get_by_role("textbox", name="words")
    expect(words).to_have_value("first")
    words.fill("second")
    dialog.get_by_role("textbox", name="speed").fill("fast")
    dialog.get_by_role("textbox", name="other").fill("changed")
    expect(dialog.get_by_text("Nothing uses the parameter other.")).to_be_visible()
    dialog.get_by_role("textbox", name="other").fill("kept")
    expect(dialog.get_by_text("Nothing uses the parameter other.")).to_have_count(0)
    axe(page)
    picture(page, "retry-parameters")
    dialog.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status").filter(has_text="worded retried: 1 task runs again")).to_be_visible()
    spec = running.api.get(running.workflow_path("worded"))["spec"]
    assert spec["parameters"] == [
        {"name": "words", "value": "second"},
        {"name": "other", "value": "kept"},
        {"name": "speed", "value": "fast"},
    ]
    job = running.wait_job("worded-bad-r1")
    assert job["spec"]["template"]["metadata"]["labels"]["words"] == "second-fast"


def test_run_again_from_a_flow(open_page: OpenPage, acting: Client, running: World) -> None:
    running.create(m.workflow("done", m.flow("one"), m.flow("two", "one"), m.flow("three", "two")))
    running.wait_phase("done")
    page = open_graph(open_page, acting, running, "done", "two")
    page.get_by_role("button", name="Run again from here").click()
    dialog = page.get_by_role("dialog", name="Retry done?")
    expect(dialog.get_by_role("listitem")).to_have_text(["twowas succeeded", "threewas succeeded"])
    dialog.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("status").filter(has_text="done retried")).to_be_visible()


def test_behind_a_prefix_all_addresses_have_it(open_page: OpenPage, acting: Client, running: World) -> None:
    running.create(m.workflow("prefixed", m.flow("one")))
    running.wait_phase("prefixed")
    page = open_page(f"{BASE}/?namespace={running.namespace}&q=prefixed", of=acting)
    page.get_by_role("link", name="prefixed").click()
    wait_drawn(page)
    for view in ("Timeline", "Logs", "Events", "YAML", "Replay", "Graph"):
        page.get_by_role("navigation", name="Views").get_by_role("link", name=view).click()
        page.wait_for_url(f"**{BASE}/workflows/{running.namespace}/prefixed/{view.lower()}")
        expect(page.locator("[aria-busy]")).to_have_count(0)
    page.reload()
    wait_drawn(page)
    page.go_back()
    page.wait_for_url("**/replay")
