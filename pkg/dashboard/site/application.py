"""The ASGI application: checks each request, routes it, and answers its errors."""

from __future__ import annotations

import time
from collections.abc import Collection, MutableMapping
from typing import Any, Final

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from pkg.dashboard.access.guard import Refused, check
from pkg.dashboard.access.shares import Busy
from pkg.dashboard.site.actions import Actions
from pkg.dashboard.site.lists import Lists
from pkg.dashboard.site.logins import Logins
from pkg.dashboard.site.logs import Logs
from pkg.dashboard.site.pages import Pages
from pkg.dashboard.site.runs import Runs
from pkg.dashboard.site.services import Fault, Services, fault_answer, fault_of
from pkg.dashboard.site.workflows import Workflows
from pkg.kube.errors import KubeError

HEALTH: Final = "/healthz"
READY: Final = "/readyz"
_ONE: Final = "/api/workflows/{namespace}/{name}"
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_log = structlog.get_logger("dashboard")


class Application:
    """Serves one dashboard. hosts: names that it answers to, beside those of loopback."""

    def __init__(self, services: Services, hosts: Collection[str]) -> None:
        self._services = services
        self._hosts = frozenset(hosts)
        self._is_draining = False
        routes = _routes(services)
        self._paths: dict[Any, str] = {}
        for route in routes:
            self._paths.setdefault(route.endpoint, route.path)
        self._starlette = Starlette(routes=routes, exception_handlers=_HANDLERS)
        # Its redirects would name the address without the prefix, and HTTP where a proxy ends HTTPS.
        self._starlette.router.redirect_slashes = False

    @property
    def is_draining(self) -> bool:
        """Once it is set, all streams end: their browsers connect anew, elsewhere."""
        return self._is_draining

    @is_draining.setter
    def is_draining(self, value: bool) -> None:
        self._is_draining = value
        if value:
            self._services.rooms.close()
            self._services.listing.close()
            self._services.visits.close()

    def close(self) -> None:
        """Take no more work."""
        self._services.rights.close()
        self._services.pool.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])

        began = time.monotonic()
        scope = self._without_base(scope)

        async def send_counted(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                ending = [(b"connection", b"close")] if self._is_draining else []
                message["headers"] = [*message.get("headers", ()), *ending]
                path = self._paths.get(scope.get("endpoint"), "other")
                self._services.metrics.answered(path, message["status"], time.monotonic() - began)
            await send(message)

        if scope["path"] not in (HEALTH, READY):  # the kubelet asks by the address of the pod
            try:
                headers, is_write = dict(Request(scope).headers), scope["method"] in _WRITES
                check(headers, self._hosts, is_write=is_write, is_page=not scope["path"].startswith("/api/"))
            except Refused as error:
                _log.warning("request refused", path=scope["path"][:200], reason=str(error))
                await fault_answer(Fault(403, str(error)))(scope, receive, send_counted)
                return
        try:
            await self._starlette(scope, receive, send_counted)
        except Exception:
            if _LOGGED not in scope:
                raise

    def _without_base(self, scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The request as if there were no prefix: a proxy may have taken it away already, and the kubelet has none.

        The prefix may be the beginning of an address: behind a proxy that takes /workflows away, the page of a Workflow
        still begins with /workflows. So it is taken away only if that leads to something.
        """
        base, path = self._services.base_path, scope["path"]
        if not base or not f"{path}/".startswith(f"{base}/"):
            return scope
        inner = {**scope, "path": path[len(base) :] or "/", "raw_path": b""}
        known = any(route.matches(inner)[0] is not Match.NONE for route in self._starlette.router.routes)
        return inner if known else scope


def _routes(services: Services) -> list[Route]:
    lists, one, pages = Lists(services), Workflows(services), Pages(services.base_path)
    logins, actions, runs, logs = Logins(services), Actions(services), Runs(services), Logs(services)
    bounded = services.bounded  # what asks the API server
    return [
        Route(HEALTH, _healthy),
        Route(READY, lists.ready),
        Route("/api/session", lists.session),
        Route("/api/login", logins.login, methods=["POST"]),
        Route("/api/logout", logins.logout, methods=["POST"]),
        Route("/api/workflows", lists.page),  # bounds itself: it may wait before it asks
        Route("/api/stream", bounded(lists.stream)),
        Route(_ONE, bounded(one.state)),
        Route(f"{_ONE}/scene", bounded(one.scene)),
        Route(f"{_ONE}/stream", bounded(one.stream)),
        Route(f"{_ONE}/yaml", bounded(one.yaml)),
        Route(f"{_ONE}/events", bounded(one.events)),
        Route(f"{_ONE}/why", bounded(one.why)),
        Route(f"{_ONE}/timeline", bounded(runs.timeline)),
        Route(f"{_ONE}/recording", bounded(runs.recording)),
        Route(f"{_ONE}/logs", bounded(logs.read)),
        Route(f"{_ONE}/logs/stream", bounded(logs.stream)),
        Route(f"{_ONE}/actions/{{action}}", bounded(actions.act), methods=["POST"]),
        Route("/static/{file}", pages.file),
        *(Route(path, pages.page) for path in PAGES),
    ]


#: Addresses that show the page.
PAGES: Final = (
    "/",
    "/replay",
    "/workflows/{namespace}/{name}",
    "/workflows/{namespace}/{name}/{view}",
    "/workflows/{namespace}/{name}/{view}/{task:path}",
)


async def _healthy(_request: Request) -> Response:
    return Response("ok\n", media_type="text/plain")


async def _fault(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Fault)
    return fault_answer(error)


async def _busy(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Busy)
    return fault_answer(Fault(429, str(error), error.after))


async def _kube_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, KubeError)
    return fault_answer(fault_of(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return fault_answer(Fault(error.status_code, f"{error.detail}: {request.method} {request.url.path[:200]}"))


#: In the scope of a request whose error is in the log already; it is passed on, and would be there twice.
_LOGGED: Final = "workflow.logged"


async def _failed(request: Request, error: Exception) -> Response:
    request.scope[_LOGGED] = True
    _log.error("request failed", path=request.url.path[:200], exc_info=error)
    return fault_answer(Fault(500, "the dashboard failed; its log says more"))


_HANDLERS: Final[dict[Any, Any]] = {
    Fault: _fault,
    Busy: _busy,
    KubeError: _kube_error,
    HTTPException: _http_error,
    Exception: _failed,
}
