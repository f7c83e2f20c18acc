"""Logins of one browser at several dashboards."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie

import pytest

from tests.unit.dashboard.site.bench import Bench, bench


class Tab:
    """A browser at one address of a dashboard. jar: its cookies, which have no port, by name."""

    def __init__(self, of: Bench, host: str, jar: dict[str, str], scheme: str = "http") -> None:
        self._of = of
        self._jar = jar
        self._host = host
        self._scheme = scheme

    async def post(self, path: str, body: object) -> SimpleCookie:
        answer = await self._of.ask(
            path, "POST", body, headers=self._headers() | {"origin": f"{self._scheme}://{self._host}"}
        )
        assert answer.status == 200, answer.body
        found = SimpleCookie(answer.headers["set-cookie"])
        self._jar.update({name: each.value for name, each in found.items()})
        return found

    async def is_inside(self) -> bool:
        return bool((await self._of.ask("/api/session", headers=self._headers())).json["loggedIn"])

    def _headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._jar.items())
        return {"host": self._host, "authorization": "", "cookie": cookies}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("localhost:8787", ""), ("localhost:8788", "")),
        (("[::1]:8787", ""), ("[::1]:8788", "")),
        (("localhost:8787", ""), ("localhost:8787", "/flows")),
        (("localhost", "/team/flows"), ("localhost", "/team")),
    ],
    ids=["two ports", "two ports of an address of IPv6", "a prefix and none", "a prefix below a prefix"],
)
def test_two_dashboards_of_one_host_do_not_end_each_others_logins(one: tuple[str, str], other: tuple[str, str]) -> None:
    async def run() -> None:
        async with bench(base_path=one[1]) as of_one, bench(base_path=other[1]) as of_other:
            jar: dict[str, str] = {}
            first, second = Tab(of_one, one[0], jar), Tab(of_other, other[0], jar)
            for tab in (first, second):
                assert not await tab.is_inside()
                await tab.post("/api/login", {"token": "abc"})
            assert [await first.is_inside(), await second.is_inside()] == [True, True]
            await first.post("/api/logout", {})
            assert [await first.is_inside(), await second.is_inside()] == [False, True]

    asyncio.run(run())


def test_the_cookie_is_for_the_addresses_of_the_dashboard_alone() -> None:
    async def run() -> None:
        async with bench(base_path="/team/flows") as of:
            (cookie,) = (await Tab(of, "localhost:8787", {}).post("/api/login", {"token": "abc"})).values()
            assert cookie.key == "workflow-dashboard-8787+team+flows"
            assert (cookie["path"], cookie["samesite"], cookie["httponly"]) == ("/team/flows", "strict", True)

    asyncio.run(run())


def test_two_dashboards_of_one_host_at_the_ports_of_http_and_https_do_not_end_each_others_logins() -> None:
    async def run() -> None:
        async with bench() as of_one, bench(is_secure=True) as of_other:
            jar: dict[str, str] = {}
            first, second = Tab(of_one, "localhost", jar), Tab(of_other, "localhost", jar, "https")
            for tab in (first, second):
                await tab.post("/api/login", {"token": "abc"})
            assert list(jar) == ["workflow-dashboard-80", "workflow-dashboard-443"]
            await second.post("/api/logout", {})
            assert [await first.is_inside(), await second.is_inside()] == [True, False]

    asyncio.run(run())
