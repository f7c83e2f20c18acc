"""An application without a server, and an API server that the test writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from pkg.dashboard.access.people import Auth, People
from pkg.dashboard.access.rights import Rights
from pkg.dashboard.access.shares import Shares
from pkg.dashboard.live.listing import Listing
from pkg.dashboard.live.rooms import Rooms
from pkg.dashboard.site.application import Application
from pkg.dashboard.site.services import Services
from pkg.dashboard.site.visits import Visits
from pkg.kube.config import ClientConfig
from pkg.telemetry.dashboard_metrics import DashboardMetrics
from tests.unit.dashboard.live.source import Source, workflow


@dataclass
class Answer:
    """The beginning of what was answered."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Bench:
    """An application for people with tokens, all of whom have the rights of the source; or for whoever started it."""

    def __init__(
        self,
        source: Source,
        base_path: str = "",
        *,
        allow_actions: bool = True,
        auth: Auth = Auth.TOKEN,
        scope: str | None = None,
        per_second: float = 0.0,
        is_secure: bool = False,
    ) -> None:
        self.people = People(auth, ClientConfig("https://127.0.0.1"), source.client, lambda _: source.client)
        self.listing = Listing(source.client, scope)
        self.visits = Visits(is_shared=False)
        self.metrics = DashboardMetrics(CollectorRegistry())
        self.app = Application(
            Services(
                people=self.people,
                rights=Rights(),
                rooms=Rooms(source.client),
                listing=self.listing,
                visits=self.visits,
                shares=Shares(per_second, is_shared=auth is Auth.LOCAL),
                metrics=self.metrics,
                pool=ThreadPoolExecutor(4),
                scope=scope,
                allow_actions=allow_actions,
                is_secure=is_secure,
                version="test",
                server="",
                base_path=base_path,
            ),
            (),
        )

    async def ask(
        self,
        path: str,
        method: str = "GET",
        body: Any = None,
        leaves: asyncio.Event | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        is_cut: bool = False,
    ) -> Answer:
        """One request. leaves: when the browser goes; is_cut: it goes before the end of the body."""
        answer = Answer()
        given = {"host": "localhost", "authorization": "Bearer abc"}
        if method == "POST":
            given |= {"origin": "http://localhost", "x-csrf-token": self.csrf()}
        given |= headers or {}
        text = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        parts = [{"type": "http.request", "body": text, "more_body": is_cut}]
        if is_cut:
            parts.insert(0, {"type": "http.disconnect"})

        async def receive() -> Mapping[str, Any]:
            if parts:
                return parts.pop()
            await (leaves or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            answer.body += message.get("body", b"")

        route, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": route,
            "raw_path": route.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "scheme": "http",
            "server": ("localhost", 80),
        }
        await asyncio.wait_for(self.app(scope, receive, send), 20)
        return answer

    def csrf(self) -> str:
        person = self.people.of_token("abc")
        assert person is not None
        return self.people.csrf(person)


@asynccontextmanager
async def bench(source: Source | None = None, base_path: str = "", **how: Any) -> AsyncIterator[Bench]:
    """One that has listed all Workflows. how: as Bench takes it."""
    made = Bench(source or Source(workflow("w")), base_path, **how)
    made.listing.start(asyncio.get_running_loop())
    try:
        assert await made.listing.ready(20)
        yield made
    finally:
        made.app.is_draining = True
        made.app.close()


def counted(of: Bench, name: str, **labels: str) -> float:
    return of.metrics.registry.get_sample_value(name, labels) or 0.0
