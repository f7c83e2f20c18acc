"""The five scenarios, each run by a real controller and watched by a real browser."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from pkg.apis.flow.v1alpha1.indexes import unpack_indexes
from tests.browser.conftest import OpenPage, end, picture, start, wait_drawn
from tests.cluster.support import manifests as m
from tests.cluster.support.world import World

pytestmark = [pytest.mark.cluster, pytest.mark.browser]

# What the page shows: its state, where it draws orbs, and the movements that it has played.
_LOOK = """
const look = ({ orbs, state, scene }) => {
  const running = [];
  let begins = 0;
  state.flows.forEach((flow, position) => {
    if (flow.phase === 'Pending' || (flow.phase === 'Running' && (flow.tasks.Pending || flow.tasks.Waiting))) begins++;
    if (flow.tasks.Running) running.push(position);
    else if (flow.phase === 'Running' && !Object.keys(flow.tasks).length) running.push(position);
  });
  const { boxes, arrows } = scene;
  return { phase: state.head.phase, running, begins, orbs: orbs.running(), boxes, arrows, played: orbs.played };
};
const { painter } = document.querySelector('.graph');
"""
LOOK = f"() => {{ {_LOOK} return look(painter); }}"
# From now on, keeps a look at every state that is shown: a look now and then may come too late for a short task.
KEEP = f"""() => {{
  {_LOOK}
  window.looks = [];
  const show = painter.setState;
  painter.setState = function (...given) {{
    show.apply(this, given);
    const {{ boxes, arrows, played, ...kept }} = look(this);
    window.looks.push(kept);
  }};
}}"""


@pytest.fixture
def world(running: World) -> World:
    return running


@pytest.fixture
def ended(world: World) -> str:
    """The address of a workflow that has ended, with a failed attempt."""
    if not world.status("retry"):
        start(world, "03-retry")
    world.wait_phase("retry")
    return f"/workflows/{world.namespace}/retry"


def wait_running(page: Page, names: set[str]) -> dict[str, Any]:
    """Waits until these flows alone run, all of their tasks; what the page shows then."""
    deadline = time.monotonic() + 180
    while True:
        look: dict[str, Any] = page.evaluate(LOOK)
        if {look["boxes"][position]["name"] for position in look["running"]} == names and not look["begins"]:
            return look
        assert time.monotonic() < deadline, f"after 180 s {look['running']} run, and not {names}"
        page.wait_for_timeout(100)


def check_orbs(looks: list[dict[str, Any]], boxes: list[dict[str, Any]]) -> None:
    """Every running task has an orb, inside of its box, and nothing else has one."""
    for look in looks:
        assert {int(orb["key"].split(":")[0]) for orb in look["orbs"]} == set(look["running"])
        for orb in look["orbs"]:
            box = boxes[int(orb["key"].split(":")[0])]
            assert box["x"] <= orb["x"] <= box["x"] + box["w"]
            assert box["y"] <= orb["y"] <= box["y"] + box["h"]


@dataclass(frozen=True)
class Run:
    """A scenario: what the page has shown, from the beginning to the end.

    held: while the held flows ran; moves: by kind, with the names of flows.
    """

    names: list[str]
    arrows: list[dict[str, Any]]
    looks: list[dict[str, Any]]
    held: dict[str, Any]
    moves: dict[str, list[dict[str, Any]]]


def run(open_page: OpenPage, world: World, example: str, *held: str) -> Run:
    """Runs an example in front of the page. Its tasks in the flows `held` run until all else that can run has ended."""
    name = start(world, example, waits=True, held=held)
    page = open_page(f"/workflows/{world.namespace}/{name}/graph", dark=example.startswith(("02", "05")))
    wait_drawn(page)
    before = page.evaluate(LOOK)
    assert not before["orbs"]
    page.evaluate(KEEP)
    world.patch(world.workflow_path(name), {"spec": {"suspend": False}})
    seen = wait_running(page, set(held))
    picture(page, example)
    for flow in held:
        end(world, name, flow)
    expect(page.locator(".facts .phase")).to_have_text("Succeeded", timeout=180_000)
    last = page.evaluate(LOOK)
    looks = [*page.evaluate("window.looks"), seen, last]
    check_orbs(looks, last["boxes"])
    names = [box["name"] for box in last["boxes"]]
    assert [box["name"] for box in before["boxes"]] == names, "what has not begun is there from the beginning"
    moves: dict[str, Any] = {}
    for move in last["played"]:
        said = {**move, "flow": names[move["flow"]], "sources": [names[at] for at in move.get("sources", [])]}
        moves.setdefault(move["kind"], []).append(said)
    return Run(names, last["arrows"], looks, seen, moves)


def test_sequential_the_orb_goes_from_flow_to_flow(open_page: OpenPage, world: World) -> None:
    found = run(open_page, world, "01-sequential", "evaluate")
    assert all(len(look["orbs"]) <= 1 for look in found.looks)
    assert [found.names[position] for position in found.held["running"]] == ["evaluate"]
    came = {move["flow"]: move["sources"] for move in found.moves["start"]}
    assert came == {"prepare": [], "train": ["prepare"], "evaluate": ["train"], "publish": ["evaluate"]}


def test_parallel_the_orb_splits_into_one_per_replica(open_page: OpenPage, world: World) -> None:
    found = run(open_page, world, "02-parallel-for", "train")
    assert len({(orb["x"], orb["y"]) for orb in found.held["orbs"]}) == 4
    split = [move for move in found.moves["start"] if move["flow"] == "train"]
    assert {source for move in split for source in move["sources"]} == {"prepare"}
    assert sorted(index for move in split for index in unpack_indexes(move["tasks"])) == [0, 1, 2, 3]


def test_retry_a_failed_attempt_goes_back(open_page: OpenPage, world: World) -> None:
    moves = run(open_page, world, "03-retry", "join").moves
    assert {move["flow"] for kind in ("fail", "retry") for move in moves.get(kind, ())} == {"download", "shards"}


def test_gate_one_branch_is_taken_and_the_other_fades(open_page: OpenPage, world: World) -> None:
    found = run(open_page, world, "04-probe-branch", "http-gate", "tcp-gate", "late-rescue")
    gates = {(found.names[one["source"]], found.names[one["target"]]) for one in found.arrows if one["kind"] == "probe"}
    # A gate that answers between two writes of the status is passed without a stop.
    through = (*found.moves.get("gate", ()), *found.moves["start"])
    assert {(source, move["flow"]) for move in through for source in move["sources"]} & gates
    assert {move["flow"] for move in found.moves["skip"]} == {"late-next", "on-success"}


def test_a_failed_flow_says_why_on_hover_and_in_text(open_page: OpenPage, world: World) -> None:
    if not world.status("probe-branch"):
        start(world, "04-probe-branch")
    world.wait_phase("probe-branch")
    page = open_page(f"/workflows/{world.namespace}/probe-branch/graph")
    wait_drawn(page)
    why = "it waited for check to succeed, which is Failed"
    expect(page.get_by_role("button", name="on-success").get_by_text(why)).to_be_visible()
    expect(page.get_by_role("button", name="check").get_by_text("exit code 3")).to_be_visible()
    for flow, said in (("check", "exit code 3"), ("on-success", why)):
        hover(page, flow)
        expect(page.locator(".tip")).to_contain_text(said)


def hover(page: Page, flow: str) -> None:
    """The pointer goes to the box of a flow."""
    x, y = page.evaluate(
        """(name) => {
          const { scene, view, root } = document.querySelector('.graph').painter;
          const box = scene.boxes.find((one) => one.name === name);
          const area = root.getBoundingClientRect();
          return [area.x + (box.x + box.w / 2 - view.x) * view.zoom, area.y + (box.y + box.h / 2 - view.y) * view.zoom];
        }""",
        flow,
    )
    page.mouse.move(x, y)


def test_the_timeline_has_every_attempt(open_page: OpenPage, ended: str) -> None:
    page = open_page(f"{ended}/timeline")
    bars = page.get_by_role("region", name="Timeline").get_by_role("link")
    expect(bars.filter(has_text="download")).to_have_count(1)
    for words in ("download attempt 0: Failed", "download attempt 1: Failed", "download attempt 2: Succeeded"):
        expect(page.get_by_role("link", name=words)).to_be_visible()
    page.get_by_role("link", name="download attempt 1: Failed").click()
    page.wait_for_url("**/logs/download?attempt=1")


def test_a_recording_is_saved_and_played_from_its_file(open_page: OpenPage, ended: str, tmp_path: Path) -> None:
    page = open_page(f"{ended}/replay")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save").click()
    file = tmp_path / "run.json"
    download.value.save_as(file)
    page.goto(page.url.partition("/workflows/")[0] + "/replay")
    page.get_by_label("Open a file").set_input_files(file)
    wait_drawn(page)
    slider = page.get_by_role("slider", name="Time")
    slider.focus()
    slider.press("End")
    expect(page.locator(".then")).to_contain_text("Succeeded")
    page.get_by_label("Open a file").set_input_files({"name": "x", "mimeType": "application/json", "buffer": b"{}"})
    expect(page.get_by_role("alert")).to_contain_text("no recording of a workflow")


def test_merge_and_fan_out(open_page: OpenPage, world: World) -> None:
    moves = run(open_page, world, "05-multi-in-out", "clean-b", "clean-c").moves
    came = {move["flow"]: set(move["sources"]) for move in moves["start"]}
    assert came["merge"] == {"clean-a", "clean-b", "clean-c"}
    assert [flow for flow, sources in came.items() if "load" in sources] == ["clean-a", "clean-b", "clean-c"]


VIEWS = ("graph", "timeline", "logs/download", "events", "yaml", "replay")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(open_page: OpenPage, ended: str, dark: bool) -> None:
    """Every view of a finished run, and the list."""
    for view in ("/", *(f"{ended}/{view}" for view in VIEWS)):
        page = open_page(view, dark=dark, still=True)
        expect(page.get_by_role("main")).to_be_visible(timeout=60_000)
        expect(page.locator("[aria-busy]")).to_have_count(0, timeout=60_000)
        page.wait_for_timeout(1000)  # the first state, and the font
        found = Axe().run(page)
        assert found.violations_count == 0, (view, found.generate_report())
        if view.endswith("/replay"):
            for _ in range(4):
                page.get_by_role("slider", name="Time").press("PageUp")
        picture(page, f"{view.rpartition('/')[2] or 'list'}{'-dark' if dark else ''}")


def test_a_finished_run_is_played_again(open_page: OpenPage, ended: str) -> None:
    page = open_page(f"{ended}/replay")
    slider = page.get_by_role("slider", name="Time")
    slider.focus()
    slider.press("End")
    expect(page.locator(".then")).to_contain_text("Succeeded")
    slider.press("Home")
    expect(page.locator(".then")).to_contain_text("Running")
    page.get_by_role("combobox", name="Speed").select_option("10")
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible(timeout=60_000)
    look = page.evaluate(LOOK)
    assert look["phase"] == "Succeeded"
    assert {move["kind"] for move in look["played"]} >= {"start", "fail", "again", "done"}


def test_everything_fits_a_phone_and_the_keyboard(open_page: OpenPage, ended: str) -> None:
    page = open_page(f"{ended}/graph", phone=True)
    graph = page.get_by_role("application")
    expect(graph).to_be_visible()
    wait_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    picture(page, "phone")
    graph.focus()
    graph.press("ArrowRight")
    first = page.url
    graph.press("ArrowRight")
    assert page.url != first
    graph.press("Enter")
    page.wait_for_url("**/logs/**")


def test_a_run_that_goes_on_is_played_as_far_as_it_has_come(open_page: OpenPage, world: World) -> None:
    world.create(m.template("step", run_for="0.1s"))
    world.create(m.template("long", run_for="3600s"))
    world.create(
        m.workflow("goes-on", m.flow("first"), m.flow("second", "first", of="long"), m.flow("third", "second"))
    )
    world.wait_flow("goes-on", "second", "Running")
    page = open_page(f"/workflows/{world.namespace}/goes-on/replay")
    wait_drawn(page)
    listed = page.get_by_role("complementary", name="Flows").locator("li")
    expect(listed.filter(has_text="second").get_by_text("Waiting", exact=True)).to_be_visible()
    page.get_by_role("slider", name="Time").press("End")
    for name, phase in (("first", "Succeeded"), ("second", "Running"), ("third", "Waiting")):
        expect(listed.filter(has_text=name).get_by_text(phase, exact=True)).to_be_visible()
    expect(page.locator(".then")).to_contain_text("Running")


HTML = "<img src=x onerror=\"document.title='done'\"><b class=made>loud</b>"


@pytest.mark.parametrize("view", ["", *VIEWS])
def test_nothing_of_a_manifest_becomes_html(open_page: OpenPage, world: World, view: str) -> None:
    name = "marked"
    if not world.status(name):
        ask = {"name": "download", "approval": {"message": HTML}}
        world.create(m.workflow(name, ask, parameters=[{"name": "x", "value": HTML}]))
    world.wait_message(name, "download", "onerror")
    page = open_page(
        f"/workflows/{world.namespace}/{name}/{view}" if view else f"/?namespace={world.namespace}&q={name}"
    )
    expect(page.locator("[aria-busy]")).to_have_count(0)
    if view != "logs/download":
        expect(page.get_by_text("<b class=made>loud</b>").first).to_be_attached()
    assert page.locator("main img, .made").count() == 0
    assert page.title() != "done"


def test_the_keyboard_alone(open_page: OpenPage, ended: str) -> None:
    page = open_page("/")
    expect(page.get_by_role("table")).to_be_visible()

    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent") == name:
                return
        raise AssertionError(f"no {name} within 60 tabs")

    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type(ended.split("/")[2])
    page.wait_for_url("**q=*")
    tab_to("retry")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{ended}/graph")
    wait_drawn(page)
    tab_to("Timeline")
    page.keyboard.press("Enter")
    tab_to("download")
    page.keyboard.press("Enter")
    page.wait_for_url("**/logs/download")
    page.go_back()
    page.wait_for_url("**/timeline")
