"""The page in a real browser: the CPU of a frame while much moves, and how soon the list is there.

No controller runs: this process writes the status as one would. CPU is that of all processes of the browser, which
draws without a GPU here, and that of the page's own thread, as the browser counts it.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, sync_playwright

from hack import browser
from hack.bench import cli
from hack.bench.bounds import Bound
from hack.bench.dashboard import serving
from hack.cluster import Cluster
from hack.cluster.api import Api
from hack.faults import load

FRAME_MS: Final = 12.0
FIRST_SECONDS: Final = 1.0
WORKFLOWS: Final = 5_000
NAMESPACE: Final = "default"
SECONDS: Final = 8.0
#: Between two changes of the status: a controller writes it about as often.
PAUSE: Final = 0.25
LOADS: Final = 7
CHANGES: Final = 40
SEEN_SECONDS: Final = 0.3
_FLAGS: Final = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
_PATH: Final = f"/apis/flow.workflow.sh/v1alpha1/namespaces/{NAMESPACE}/workflows"
_TICKS: Final = os.sysconf("SC_CLK_TCK")
# When the first row has been painted: two frames after it is there.
_ROWS: Final = """
const look = () => document.querySelector('tbody tr')
  ? requestAnimationFrame(() => requestAnimationFrame(() => { window.rowsAt = performance.now(); }))
  : requestAnimationFrame(look);
requestAnimationFrame(look);
"""
# When a message of the status has been painted, by its number.
_SEEN: Final = """
window.seen = {};
new MutationObserver(() => {
  const found = /change (\\d+)/.exec(document.querySelector('.said')?.textContent || '');
  if (found && !(found[1] in window.seen)) {
    window.seen[found[1]] = 0;
    requestAnimationFrame(() => requestAnimationFrame(() => { window.seen[found[1]] = Date.now(); }));
  }
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


@dataclass(frozen=True)
class Graph:
    """A Workflow of so many tasks: `flows` flows, with `each` tasks."""

    name: str
    flows: int
    each: int

    @property
    def tasks(self) -> int:
        return self.flows * self.each


GRAPHS: Final = (Graph("few", 50, 10), Graph("many", 500, 10), Graph("flows", 5_000, 1))


def measure(cluster: Cluster) -> bool:
    """Prints the figures; whether all bounds are met. Raises SystemExit where there is no browser."""
    program = browser.find()
    if program is None:
        raise SystemExit(f"no browser here; {browser.HOW}")
    found: list[Bound] = []

    def add(bound: Bound) -> None:
        found.append(bound)
        print(bound.line(), flush=True)

    load.make_namespace(cluster.api(), cli.NAMESPACE)
    asyncio.run(cli.fill(str(cluster.kubeconfig), WORKFLOWS, 50, 0))
    api = cluster.api()
    for graph in GRAPHS:
        _create(api, graph)
    with serving(cluster.kubeconfig) as (_, port), sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        try:
            _first_paint(started, port, add)
            _visible(started, port, api, GRAPHS[0], add)
            for graph in GRAPHS:
                _frames(started, port, api, graph, add)
        finally:
            started.close()
    return all(bound.is_met for bound in found)


def _first_paint(started: Browser, port: int, add: Callable[[Bound], None]) -> None:
    """Of the list, in browsers that have never been there."""
    rows, paints = [], []
    for _ in range(LOADS):
        with _context(started) as context:
            page = context.new_page()
            page.add_init_script(_ROWS)
            page.goto(f"http://127.0.0.1:{port}/")
            page.wait_for_selector("tbody tr")
            page.wait_for_timeout(300)
            rows.append(float(page.evaluate("window.rowsAt")) / 1000)
            paints.append(
                float(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")) / 1000
            )
    note = f"the first content after {statistics.median(paints):.2f} s; slowest of {LOADS}: {max(rows):.2f} s"
    add(Bound(f"list of {WORKFLOWS:,} Workflows: rows painted", statistics.median(rows), FIRST_SECONDS, "s", note=note))


def _visible(started: Browser, port: int, api: Api, graph: Graph, add: Callable[[Bound], None]) -> None:
    """How long after the API server's answer a change has been painted."""
    with _context(started) as context:
        page = context.new_page()
        page.add_init_script(_SEEN)
        page.goto(f"http://127.0.0.1:{port}/workflows/{NAMESPACE}/{graph.name}/graph")
        page.get_by_text("change 0").wait_for()
        sent = {}
        for number in range(1, CHANGES + 1):
            _patch(api, graph, number)
            sent[str(number)] = time.time()
            page.wait_for_timeout(PAUSE * 1000)
        seen = page.evaluate("window.seen")
    delays = sorted(seen[number] / 1000 - at for number, at in sent.items() if number in seen)
    note = f"median {statistics.median(delays):.3f} s; {len(delays)} of {CHANGES} seen"
    add(
        Bound("an update in the page, slowest, after the API server's answer", delays[-1], SEEN_SECONDS, "s", note=note)
    )


def _frames(started: Browser, port: int, api: Api, graph: Graph, add: Callable[[Bound], None]) -> None:
    with _context(started) as context:
        page = context.new_page()
        began = time.monotonic()
        page.goto(f"http://127.0.0.1:{port}/workflows/{NAMESPACE}/{graph.name}/graph")
        while not page.evaluate("Boolean(document.querySelector('.graph')?.painter?.state)"):
            page.wait_for_timeout(20)
        print(
            f"{graph.tasks:,} tasks in {graph.flows:,} flows: drawn after {time.monotonic() - began:.2f} s", flush=True
        )
        cdp = context.new_cdp_session(page)
        cdp.send("Performance.enable")
        for name, act in _ACTS.items():
            moved = _Cost(page, cdp)
            number = 0
            end = time.monotonic() + SECONDS
            act(page, 0)
            while time.monotonic() < end:
                number += 1
                _patch(api, graph, number)
                page.wait_for_timeout(PAUSE * 1000)
                act(page, number)
            whole, own, script, frames = moved.taken()
            note = f"{own:.1f} ms of the page's thread, {script:.1f} of them drawing; {frames / SECONDS:.0f} frames/s"
            add(
                Bound(
                    f"{graph.tasks:,} tasks in {graph.flows:,} flows, {name}: a frame", whole, FRAME_MS, "ms", note=note
                )
            )


def _look(_page: Page, _number: int) -> None:
    """Somebody looks at the whole."""


def _near(page: Page, number: int) -> None:
    """Somebody has zoomed in."""
    if number == 0:
        page.evaluate(
            "() => { const { painter } = document.querySelector('.graph'); painter.fit();"
            " painter.zoomAt(0.7 / painter.view.zoom, painter.size.w / 2, painter.size.h / 2); }"
        )


def _pan(page: Page, number: int) -> None:
    """Somebody drags the picture, all the time."""
    if number == 0:
        page.evaluate("document.querySelector('.graph').painter.fit()")
        page.mouse.move(500, 450)
        page.mouse.down()
    for step in range(10):
        page.mouse.move(500 + 40 * ((number + step) % 5), 450 + 20 * ((number + step) % 3))


_ACTS: Final[Mapping[str, Callable[[Page, int], None]]] = {"at a glance": _look, "near": _near, "dragged": _pan}


class _Cost:
    """What a stretch of time costs per frame that was drawn."""

    def __init__(self, page: Page, cdp: CDPSession) -> None:
        self._page, self._cdp = page, cdp
        self._before = self._now()

    def taken(self) -> tuple[float, float, float, int]:
        """Milliseconds per frame: of all processes, of the page's thread, of drawing by scripts; the frames."""
        after = self._now()
        cpu, task, script, frames = (new - old for new, old in zip(after, self._before, strict=True))
        count = max(1, int(frames))
        return cpu / count * 1000, task / count * 1000, script / count, int(frames)

    def _now(self) -> tuple[float, float, float, float]:
        said = {each["name"]: each["value"] for each in self._cdp.send("Performance.getMetrics")["metrics"]}
        drawn = self._page.evaluate(
            "() => { const { painter } = document.querySelector('.graph'); return [painter.cost, painter.frames]; }"
        )
        return _browser_cpu(), float(said["TaskDuration"]), float(drawn[0]), float(drawn[1])


def _browser_cpu() -> float:
    """Seconds of CPU of the browser's processes that are below this one."""
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                name, _, rest = (folder / "stat").read_text().rpartition(")")
            except OSError:
                continue  # it has ended
            fields = rest.split()
            parents[int(folder.name)] = int(fields[1])
            used[int(folder.name)] = (int(fields[11]) + int(fields[12])) / _TICKS if "chrom" in name else 0.0
    return sum(seconds for pid, seconds in used.items() if os.getpid() in _ancestors(pid, parents))


def _ancestors(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    while (pid := parents.get(pid, 0)) > 1:
        yield pid


@contextmanager
def _context(started: Browser) -> Iterator[BrowserContext]:
    made = started.new_context(viewport={"width": 1280, "height": 800})
    try:
        yield made
    finally:
        made.close()


def _create(api: Api, graph: Graph) -> None:
    flows: list[dict[str, Any]] = [{"name": f"flow-{at}", "template": "step"} for at in range(graph.flows)]
    for at, flow in enumerate(flows):
        if graph.each > 1:
            flow["for"] = {"replicas": graph.each}
        if at:
            flow["dependsOn"] = {"targets": [f"flow-{(at - 1) // 3}"]}
    meta = {"name": graph.name, "namespace": NAMESPACE}
    body = {"apiVersion": "flow.workflow.sh/v1alpha1", "kind": "Workflow", "metadata": meta, "spec": {"flows": flows}}
    api.request("POST", _PATH, body)
    _patch(api, graph, 0)


def _patch(api: Api, graph: Graph, number: int) -> None:
    """Half of the tasks run; with each change some begin and some end."""
    step = max(1, graph.flows // 100)
    window = graph.flows // 2
    flows: list[dict[str, Any]] = []
    for at in range(graph.flows):
        ahead = at - number * step % graph.flows
        phase = "Waiting" if ahead >= window else "Running" if ahead >= 0 else "Succeeded"
        one: dict[str, Any] = {
            "name": f"flow-{at}",
            "phase": phase,
            "attempts": 0 if phase == "Waiting" else graph.each,
        }
        if graph.each > 1:
            one[phase.lower()] = f"0-{graph.each - 1}"
        flows.append(one)
    status = {"phase": "Running", "message": f"change {number}", "flows": flows}
    api.request(
        "PATCH", f"{_PATH}/{graph.name}/status", {"status": status}, content_type="application/merge-patch+json"
    )
