"""What the list says of Workflows that somebody does not see."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from pkg.dashboard.access.people import Auth
from pkg.dashboard.access.shares import AT_ONCE
from pkg.dashboard.model.lines import select
from pkg.dashboard.site.visits import Stream
from pkg.kube.errors import Forbidden
from tests.unit.dashboard.live.source import Source, workflow
from tests.unit.dashboard.site.bench import Bench, bench


@pytest.mark.parametrize(
    ("may", "query", "denied"),
    [(True, "", None), (True, "?namespace=team", None), (False, "", ""), (False, "?namespace=team", "team")],
    ids=["who may list all", "who looks at one namespace", "who may list none", "who looks at one without a right"],
)
def test_where_one_may_not_list_is_said(may: bool, query: str, denied: str | None) -> None:
    async def run() -> None:
        source = Source(workflow("w"))
        source.may = may
        async with bench(source) as of:
            found = (await of.ask(f"/api/workflows{query}")).json
            assert (found["denied"], [line["name"] for line in found["page"]["lines"]]) == (denied, ["w"] * may)

    asyncio.run(run())


def refused(**how: Any) -> Bench:
    """An application whose own list the API server refuses."""
    source = Source(workflow("w"))
    source.may = False
    source.refusal = Forbidden("workflows is forbidden", status=403)
    return Bench(source, **how)


@pytest.mark.parametrize("scope", [None, "team"], ids=["of all namespaces", "of one namespace"])
def test_who_started_it_without_the_right_is_told_at_once(scope: str | None) -> None:
    async def run() -> None:
        of = refused(auth=Auth.LOCAL, scope=scope)
        of.listing.start(asyncio.get_running_loop())
        found = (await of.ask("/api/workflows")).json
        assert (found["denied"], found["trouble"]) == (scope or "", "workflows is forbidden")
        of.app.is_draining = True
        of.app.close()

    asyncio.run(run())


def test_who_waits_for_the_first_list_has_places_for_all_else() -> None:
    async def run() -> None:
        source = Source(workflow("w"))
        of = Bench(source, per_second=1_000.0)
        path = "/api/workflows/team/w/yaml"
        assert (await of.ask(path)).status == 200
        waiting = [asyncio.ensure_future(of.ask("/api/workflows")) for _ in range(AT_ONCE)]
        await asyncio.sleep(0)
        assert (await of.ask(path)).status == 200
        of.listing.start(asyncio.get_running_loop())
        assert [(await each).status for each in waiting] == [200] * AT_ONCE
        of.app.is_draining = True
        of.app.close()

    asyncio.run(run())


def test_people_are_not_told_that_they_lack_what_the_dashboard_lacks() -> None:
    async def run() -> None:
        of = refused()
        of.listing.start(asyncio.get_running_loop())
        found = await of.ask("/api/workflows")
        assert (found.status, "cannot be read yet: workflows is forbidden" in found.json["message"]) == (503, True)
        of.app.is_draining = True
        of.app.close()

    asyncio.run(run())


@pytest.mark.parametrize("name", ["a/b", "a.b", "a" * 64])
@pytest.mark.parametrize("path", ["/api/workflows", "/api/stream"])
def test_nobody_is_asked_about_what_can_be_no_namespace(path: str, name: str) -> None:
    async def run() -> None:
        async with bench() as of:
            found = await of.ask(f"{path}?namespace={name}")
            assert (found.status, f"the namespace is '{name}'" in found.json["message"]) == (400, True)

    asyncio.run(run())


def test_the_stream_of_a_namespace_that_has_no_workflow_has_the_first_one() -> None:
    """Whoever may list that namespace alone."""

    async def run() -> None:
        source = Source()
        source.allowed = {"team"}
        async with bench(source) as of:
            leaves = asyncio.Event()
            asked = [
                asyncio.ensure_future(of.ask(f"/api/stream{query}", leaves=leaves)) for query in ("", "?namespace=team")
            ]
            while of.visits.count(Stream.LIST) < len(asked):
                await asyncio.sleep(0.001)
            source.say("ADDED", workflow("first", 6))
            while not of.listing.lines:
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.5)
            leaves.set()
            assert [b"first" in (await each).body for each in asked] == [False, True]

    asyncio.run(run())

    asyncio.run(run())


def test_a_page_is_chosen_beside_the_thread_that_serves_all(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def noted(*given: Any) -> object:
        threads.append(threading.get_ident())
        return select(*given)

    monkeypatch.setattr("pkg.dashboard.site.lists.select", noted)

    async def run() -> None:
        async with bench() as of:
            assert (await of.ask("/api/workflows")).status == 200
            assert threads
            assert threading.get_ident() not in threads

    asyncio.run(run())
