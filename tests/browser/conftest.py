"""A real browser that reaches nothing but this machine, and a page that must not complain."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import yaml
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from hack import browser
from hack.cluster import Cluster
from hack.cluster.annotations import RUN_FOR
from hack.controller_process import NO_SERVERS
from pkg.apis.flow.v1alpha1 import labels
from tests.cluster.conftest import api, cluster, kubeconfig, make_world, namespace, new_world, start_controller, world
from tests.cluster.support.controller import Controller
from tests.cluster.support.dashboard import Browser as Client
from tests.cluster.support.dashboard import serving
from tests.cluster.support.world import World

__all__ = ["api", "cluster", "kubeconfig", "namespace", "new_world", "start_controller", "world"]

#: No name is resolved: a page that asks anybody else fails.
FLAGS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
# A page that is right late is right: a busy machine is no fault of it.
expect.set_options(timeout=60_000)
OpenPage = Callable[..., Page]
_COMPLAINTS = ("error", "warning")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser."""
    program = browser.find()
    if program is None:
        pytest.skip(f"no browser here; {browser.HOW}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def dashboard(kubeconfig: Path) -> Iterator[Client]:
    """A dashboard for the whole run."""
    with serving(kubeconfig) as found:
        yield found


@pytest.fixture
def shared(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A dashboard in which everybody logs in, and which asks often whether streams may go on."""
    monkeypatch.setattr("pkg.dashboard.site.streams.RECHECK_SECONDS", 0.5)
    with serving(kubeconfig, "--auth=token") as found:
        yield found


@pytest.fixture(scope="module")
def running(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A namespace with a controller."""
    made = make_world(cluster.api(), "browser")
    own = [f"--namespace={made.namespace}", f"--leader-elect-resource-namespace={made.namespace}", "--workers=4"]
    controller = Controller(cluster, tmp_path_factory.mktemp("controller") / "log", *own, *NO_SERVERS)
    controller.wait_acting()
    yield made
    controller.close()
    made.remove()


def start(world: World, example: str, *, waits: bool = False, held: Collection[str] = ()) -> str:
    """Applies an example, suspended if it `waits`; the name of its Workflow.

    held: flows whose tasks run until `end`: what a page shows of them does not depend on who is quicker.
    """
    name = ""
    for document in yaml.safe_load_all((EXAMPLES / f"{example}.yaml").read_text()):
        if document["kind"] == "Workflow":
            name = document["metadata"]["name"]
            document["spec"]["suspend"] = waits
            for flow in document["spec"]["flows"]:
                if flow["name"] in held:
                    flow["patch"] = {"template": {"metadata": {"annotations": {RUN_FOR: "3600s"}}}}
        world.create(document)
    return name


def end(world: World, workflow: str, flow: str) -> None:
    """Lets the pods of a held flow succeed, as the kubelet would write it."""
    pods = f"/api/v1/namespaces/{world.namespace}/pods"
    selector = f"{labels.WORKFLOW}={workflow},{labels.FLOW}={flow}"
    found = world.api.get(f"{pods}?labelSelector={quote(selector)}")["items"]
    assert found, f"flow {flow} has no pods"
    for pod in found:
        world.patch(f"{pods}/{pod['metadata']['name']}/status", {"status": {"phase": "Succeeded"}})


def wait_drawn(page: Page) -> None:
    """Until the graph is there. The policy of the page forbids what `wait_for_function` does."""
    deadline = time.monotonic() + 60
    while not page.evaluate("Boolean(document.querySelector('.graph')?.painter?.state)"):
        assert time.monotonic() < deadline, "no graph within 60 s"
        page.wait_for_timeout(100)


@pytest.fixture
def open_page(chromium: Browser, dashboard: Client) -> Iterator[OpenPage]:
    """Opens an address of the dashboard, or of another one (`of`).

    Afterwards no page may have complained, or have asked anybody else. beside: dashboards that it may ask, too; fails:
    the page is given answers that are errors, which the browser writes to its console.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    asked: list[str] = []
    served: set[str] = set()

    def make(
        address: str,
        *,
        dark: bool = False,
        phone: bool = False,
        still: bool = False,
        of: Client = dashboard,
        beside: Collection[Client] = (),
        fails: bool = False,
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 800},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if still else "no-preference",
            device_scale_factor=2 if "WORKFLOW_SCREENS" in os.environ else 1,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on(
            "console", lambda said: complaints.append(said.text) if said.type in _COMPLAINTS and not fails else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.on("websocket", lambda socket: asked.append(socket.url))
        served.update(f"127.0.0.1:{each.port}" for each in (of, *beside))
        page.goto(f"http://127.0.0.1:{of.port}{address}")
        return page

    yield make
    for context in contexts:
        context.close()
    assert not complaints
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts <= served


def picture(page: Page, name: str) -> None:
    """Keeps a picture of the page under WORKFLOW_SCREENS, if that is set."""
    folder = os.environ.get("WORKFLOW_SCREENS")
    if folder:
        page.wait_for_timeout(1_600)  # orbs that are on their way arrive
        path = Path(folder) / f"{re.sub(r'[^a-z0-9-]+', '-', name)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=path)
