"""The dashboard, on a real cluster: what it lists, what it streams, and what it shows to whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster import Cluster
from tests.cluster.conftest import StartController
from tests.cluster.support import manifests as m
from tests.cluster.support.access import CHANGE, RBAC, READ, token_of
from tests.cluster.support.dashboard import Browser, serving
from tests.cluster.support.world import PATIENCE, World

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def browser(kubeconfig: Path) -> Iterator[Browser]:
    """A dashboard with the rights of the administrator, who started it."""
    with serving(kubeconfig) as found:
        yield found


def api(world: World, name: str, rest: str = "") -> str:
    return f"/api/workflows/{world.namespace}/{name}{rest}"


def test_a_run_is_streamed_from_the_first_task_to_the_end(
    browser: Browser, world: World, start_controller: StartController
) -> None:
    """Applied to the first state, the frames lead to what the API server has at the end."""
    world.create(m.template("step", run_for="0.3s"))
    world.create(m.template("shaky", run_for="0.2s", fail_until_attempt="1"))
    flows = [
        m.flow("first"),
        {**m.flow("wide", "first"), "for": {"replicas": 3}},
        m.flow("shaky", "first", of="shaky", retry={"maxRetries": 2, "interval": "100ms"}),
        m.flow("last", "wide shaky"),
    ]
    world.create(m.workflow("run", *flows))
    with browser.stream(api(world, "run", "/stream")) as stream:
        state = stream.wait("state")["state"]
        scene = browser.get(api(world, "run", "/scene"))
        assert [box["name"] for box in scene["boxes"]] == ["first", "wide", "shaky", "last"]
        assert scene["shape"] == state["head"]["shape"]
        start_controller()
        count = 0
        moves: list[Any] = []
        number = 1
        while state["head"]["phase"] not in ("Succeeded", "Failed"):
            count += 1
            frame = stream.wait("frame", count=count)
            assert frame["number"] > number
            number = frame["number"]
            state["head"] = frame.get("head", state["head"])
            for position, flow in frame.get("flows", {}).items():
                state["flows"][int(position)] = flow
            moves += frame.get("moves", [])
    assert state["head"]["phase"] == "Succeeded"
    assert [flow["phase"] for flow in state["flows"]] == ["Succeeded"] * 4
    found = browser.get(api(world, "run"))["state"]
    assert found["flows"] == state["flows"]
    assert found["head"] == state["head"]
    starts = {move["flow"]: move for move in moves if move["kind"] == "start"}
    assert {flow: move.get("sources", []) for flow, move in starts.items()} == {0: [], 1: [0], 2: [0], 3: [1, 2]}
    assert any(move["kind"] in ("fail", "retry") and move["flow"] == 2 for move in moves)
    assert not any(move["kind"] in ("fail", "retry") and move["flow"] != 2 for move in moves)


def test_all_viewers_of_a_workflow_share_one_watch(browser: Browser, world: World) -> None:
    world.create(m.workflow("seen", m.flow("a")))
    path = api(world, "seen", "/stream")
    with browser.stream(path) as one, browser.stream(path) as two, browser.stream(path) as three:
        for stream in (one, two, three):
            stream.wait("state")
        world.patch(world.workflow_path("seen"), {"spec": {"suspend": True}})
        for stream in (one, two, three):
            assert stream.wait("frame")["head"]["suspended"] is True
        watches = [thread for thread in threading.enumerate() if thread.name == f"watch-{world.namespace}/seen"]
        assert len(watches) == 1


def test_a_deleted_workflow_is_gone_and_a_new_one_of_its_name_is_shown(browser: Browser, world: World) -> None:
    world.create(m.workflow("again", m.flow("a")))
    with browser.stream(api(world, "again", "/stream")) as stream:
        first = stream.wait("state")["state"]["head"]["uid"]
        world.delete(world.workflow_path("again"))
        stream.wait("gone")
        world.create(m.workflow("again", m.flow("a"), m.flow("b")))
        second = stream.wait("state", count=2)["state"]
        assert second["head"]["uid"] != first
        assert len(second["flows"]) == 2


def test_the_list_has_pages_filters_and_a_stream(browser: Browser, world: World) -> None:
    for number in range(5):
        world.create(m.workflow(f"w{number}", m.flow("a")))
    query = f"/api/workflows?namespace={world.namespace}&sort=name"
    with browser.stream("/api/stream") as stream:
        world.create(m.workflow("w5", m.flow("a")))

        def has_come() -> bool:
            lines = [line["name"] for name, content in stream.events if name == "lines" for line in content["lines"]]
            return "w5" in lines

        world.history.wait(has_come, PATIENCE, "the stream of the list has w5")
    page = browser.get(f"{query}&limit=2&offset=2")["page"]
    assert [line["name"] for line in page["lines"]] == ["w2", "w3"]
    assert page["matched"] == 6
    found = browser.get(f"{query}&q=w4")["page"]
    assert [line["name"] for line in found["lines"]] == ["w4"]


def test_everything_else_of_a_workflow(browser: Browser, world: World) -> None:
    world.create(m.workflow("one", m.flow("a", of="missing")))
    assert "kind: Workflow" in browser.ask(api(world, "one", "/yaml")).body.decode()
    assert "managedFields" not in browser.ask(api(world, "one", "/yaml")).body.decode()
    assert browser.get(api(world, "one", "/events")) == {"lines": [], "unread": []}
    assert "no controller has written its status yet" in browser.get(api(world, "one", "/why"))["summary"]


def test_a_workflow_that_does_not_exist(browser: Browser, world: World) -> None:
    for rest in ("", "/scene", "/stream", "/yaml", "/events"):
        found = browser.ask(api(world, "nope", rest))
        assert (found.status, found.json["message"]) == (404, 'workflows.flow.workflow.sh "nope" not found')


def test_every_answer_says_what_a_browser_may_do(browser: Browser, world: World) -> None:
    for path in ("/", "/api/session", "/static/none", api(world, "nope")):
        headers = browser.ask(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
    refused = browser.ask("/api/session", host="rebound.example")
    assert (refused.status, "does not answer for the host" in refused.json["message"]) == (403, True)


def test_it_changes_nothing_unless_it_was_started_for_that(browser: Browser, world: World) -> None:
    world.create(m.workflow("safe", m.flow("a")))
    csrf = browser.get("/api/session")["csrf"]
    found = browser.ask(api(world, "safe", "/actions/suspend"), method="POST", x_csrf_token=csrf)
    assert (found.status, "--allow-actions" in found.json["message"]) == (403, True)


@pytest.fixture
def shared(kubeconfig: Path) -> Iterator[Browser]:
    """A dashboard for people with tokens of their own, in which they may act."""
    with serving(kubeconfig, "--auth=token", "--allow-actions") as found:
        yield found


def test_everybody_sees_what_their_own_token_may_see(shared: Browser, new_world: Callable[[], World]) -> None:
    mine, other = new_world(), new_world()
    mine.create(m.workflow("mine", m.flow("a")))
    other.create(m.workflow("other", m.flow("a")))
    assert shared.ask("/api/workflows").status == 401
    assert shared.ask(api(mine, "mine", "/stream")).status == 401
    with_token = Browser(shared.port, {"authorization": f"Bearer {token_of(mine, 'reader', READ)}"})
    mine.history.wait(
        lambda: [line["name"] for line in with_token.get("/api/workflows")["page"]["lines"]] == ["mine"],
        PATIENCE,
        "the list has what the token may see",
    )
    assert with_token.get("/api/workflows")["page"]["namespaces"] == [mine.namespace]
    assert with_token.get(api(mine, "mine"))["state"]["head"]["name"] == "mine"
    for rest in ("", "/scene", "/stream", "/yaml", "/events", "/why"):
        assert with_token.ask(api(other, "other", rest)).status == 403
    with with_token.stream("/api/stream") as stream:
        other.create(m.workflow("hidden", m.flow("a")))
        mine.create(m.workflow("shown", m.flow("a")))
        names: set[str] = set()
        while "shown" not in names:
            names |= {line["name"] for line in stream.wait("lines")["lines"]}
        assert names <= {"mine", "shown"}, "a line of the first may still have come"


def test_one_logs_in_with_a_token_and_the_cookie_is_no_token(shared: Browser, world: World) -> None:
    world.create(m.workflow("mine", m.flow("a")))
    token = token_of(world, "person", READ)
    assert shared.ask("/api/login", method="POST", body={"token": "wrong"}).status == 401
    found = shared.ask("/api/login", method="POST", body={"token": token})
    assert found.json["user"] == f"system:serviceaccount:{world.namespace}:person"
    cookie = found.headers["set-cookie"]
    assert token not in cookie
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    inside = Browser(shared.port, {"cookie": cookie.split(";")[0]})
    assert inside.get("/api/session")["loggedIn"] is True
    assert inside.get(api(world, "mine"))["state"]["head"]["name"] == "mine"
    csrf = inside.get("/api/session")["csrf"]
    assert inside.ask("/api/logout", method="POST", x_csrf_token=csrf).status == 200
    assert inside.ask(api(world, "mine")).status == 401


def test_a_change_needs_the_right_of_the_person_and_the_token_of_the_page(shared: Browser, world: World) -> None:
    world.create(m.workflow("run", m.flow("a")))
    reader = Browser(shared.port, {"authorization": f"Bearer {token_of(world, 'reader', READ)}"})
    writer = Browser(shared.port, {"authorization": f"Bearer {token_of(world, 'writer', READ, CHANGE)}"})
    path = api(world, "run", "/actions/suspend")
    csrf = writer.get("/api/session")["csrf"]
    assert writer.ask(path, method="POST").status == 403
    assert writer.ask(path, method="POST", x_csrf_token=reader.get("/api/session")["csrf"]).status == 403
    assert writer.ask(path, method="POST", x_csrf_token=csrf, origin="http://evil.example").status == 403
    assert reader.ask(path, method="POST", x_csrf_token=reader.get("/api/session")["csrf"]).status == 403
    assert not world.api.get(world.workflow_path("run"))["spec"].get("suspend")
    done = writer.ask(path, method="POST", x_csrf_token=csrf)
    assert (done.status, done.json["message"].startswith("run suspended")) == (200, True)
    assert world.api.get(world.workflow_path("run"))["spec"]["suspend"] is True


def test_a_retry_with_other_parameters_is_the_one_that_was_shown(shared: Browser, world: World) -> None:
    world.create(m.template("step"))
    listed = [{"name": "x", "value": "1"}, {"name": "kept", "value": "as it was"}]
    made = world.create(m.workflow("run", m.flow("good"), m.flow("bad"), parameters=listed))
    flows = [{"name": "good", "phase": "Succeeded", "attempts": 1}, {"name": "bad", "phase": "Failed", "attempts": 1}]
    status = {"phase": "Failed", "observedGeneration": made["metadata"]["generation"], "flows": flows}
    world.patch(f"{world.workflow_path('run')}/status", {"status": status})
    templates = {"apiGroups": ["flow.workflow.sh"], "resources": ["worktemplates"], "verbs": ["get"]}
    reader = Browser(shared.port, {"authorization": f"Bearer {token_of(world, 'reader', READ, templates)}"})
    writer = Browser(shared.port, {"authorization": f"Bearer {token_of(world, 'writer', READ, CHANGE, templates)}"})
    path = api(world, "run", "/actions/retry")

    def ask(who: Browser, *, csrf: str = "", **shown: Any) -> tuple[int, Any]:
        token = csrf or who.get("/api/session")["csrf"]
        body = {"parameters": {"x": "2", "new": "3"}, **shown}
        answer = who.ask(path, method="POST", body=body, x_csrf_token=token)
        return answer.status, answer.json

    status_code, plan = ask(writer)
    again = [{"flow": "bad", "was": "Failed", "count": 1, "indexes": ""}]
    assert (status_code, plan["again"], plan["parameters"]) == (200, again, {"x": "1", "kept": "as it was"})
    assert sorted(plan["unused"]) == ["new", "x"]
    assert "restart" not in world.api.get(world.workflow_path("run"))["spec"], "to be shown a plan changes nothing"
    assert ask(reader, shown=again)[0] == 403
    assert ask(writer, csrf="wrong", shown=again)[0] == 403
    refused, answer = ask(writer, shown=[{**again[0], "flow": "good"}])
    assert (refused, answer["message"]) == (409, "run was changed meanwhile; look again what a retry means now")
    done, answer = ask(writer, shown=again)
    assert (done, answer["message"]) == (200, "run retried: 1 task runs again")
    spec = world.api.get(world.workflow_path("run"))["spec"]
    assert spec["restart"]["at"]
    assert spec["parameters"] == [{"name": "x", "value": "2"}, *listed[1:], {"name": "new", "value": "3"}]


def test_a_stream_ends_when_the_right_is_taken_away(
    kubeconfig: Path, world: World, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pkg.dashboard.site.streams.RECHECK_SECONDS", 0.3)
    world.create(m.workflow("run", m.flow("a")))
    token = token_of(world, "reader", READ)
    with serving(kubeconfig, "--auth=token") as found:
        reader = Browser(found.port, {"authorization": f"Bearer {token}"})
        with reader.stream(api(world, "run", "/stream")) as stream:
            stream.wait("state")
            world.api.request("DELETE", f"{RBAC}/namespaces/{world.namespace}/rolebindings/reader")
            stream.wait_end()
        assert reader.ask(api(world, "run")).status == 403
