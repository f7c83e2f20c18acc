"""What every handler needs, and how it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from pkg.apis.flow.v1alpha1.labels import MAX_VALUE
from pkg.apis.flow.v1alpha1.object_faults import is_name
from pkg.dashboard.access.people import Auth, People, Person, cookie_name
from pkg.dashboard.access.rights import Rights
from pkg.dashboard.access.shares import Shares
from pkg.dashboard.live.encoding import encode
from pkg.dashboard.live.listing import Listing
from pkg.dashboard.live.rooms import Rooms
from pkg.dashboard.site.streams import EventStream
from pkg.dashboard.site.visits import Stream, Taker, TooMany, Visits
from pkg.kube.errors import Forbidden, Gone, KubeError, NotFound, Refused, Stopped, Throttled, Unauthorized
from pkg.telemetry.dashboard_metrics import DashboardMetrics

Handler = Callable[[Request], Awaitable[Any]]
P = ParamSpec("P")
T = TypeVar("T")
#: Calls of the API server at the same time, on behalf of all people.
THREADS: Final = 32
_STATUS: Final[tuple[tuple[type[KubeError], int], ...]] = (
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Gone, 410),
    (Refused, 422),
    (Throttled, 429),
    (Stopped, 503),
)


class Fault(Exception):
    """The request is answered with an HTTP status and a sentence.

    after: seconds after which it may be sent again, as nothing of it was begun; 0 if that is not so.
    """

    def __init__(self, status: int, text: str, after: int = 0) -> None:
        super().__init__(text)
        self.status = status
        self.after = after


@dataclass(frozen=True, slots=True)
class Services:
    """scope: the namespace that the dashboard is about, None for all; log_url_template: the address of logs that pods
    do not have any more, as kubectl-workflow takes it; base_path: the prefix of all addresses, empty for none.
    """

    people: People
    rights: Rights
    rooms: Rooms
    listing: Listing
    visits: Visits
    shares: Shares
    metrics: DashboardMetrics
    pool: ThreadPoolExecutor
    scope: str | None
    allow_actions: bool
    is_secure: bool
    version: str
    server: str
    log_url_template: str = ""
    base_path: str = ""

    async def call(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Runs what blocks in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.pool, lambda: function(*arguments, **named))

    def person(self, request: Request) -> Person:
        """Who asks. Raises Fault 401."""
        found = self._find(request)
        if found is None:
            raise Fault(401, "log in: the dashboard shows what your own token may see")
        return found

    def bounded(self, handler: Handler) -> Handler:
        """The handler, which asks the API server, for no more than the share of one person. Raises Busy."""

        async def run(request: Request) -> Any:
            with self.shares.use(self.person(request)):
                return await handler(request)

        return run

    def stream(
        self,
        request: Request,
        person: Person,
        kind: Stream,
        taker: Taker,
        on_end: Callable[[], None],
        recheck: Callable[[], Awaitable[bool]],
    ) -> EventStream:
        """A stream for somebody, while they are logged in and `recheck` allows it. Raises Fault if they have too many;
        then `on_end` was called.
        """
        try:
            visit = self.visits.enter(person, kind, taker)
        except TooMany as error:
            on_end()
            raise Fault(429, str(error)) from error
        sent = self.metrics.sent.labels(kind)

        def end() -> None:
            self.visits.leave(visit)
            on_end()

        async def may_still() -> bool:
            found = self._find(request)
            return found is not None and found.key == person.key and await recheck()

        return EventStream(
            taker, end, may_still, on_sent=sent.inc, on_cut=lambda reason: self.metrics.cut.labels(reason).inc()
        )

    def _find(self, request: Request) -> Person | None:
        return self.people.find(request.headers.get("authorization", ""), self.cookie(request))

    def cookie_name(self, request: Request) -> str:
        """The name of the cookie of logins at the address that the request names."""
        return cookie_name(request.headers.get("host", ""), self.base_path, is_secure=self.is_https(request))

    def is_https(self, request: Request) -> bool:
        """Whether the browser reaches the dashboard by HTTPS, as far as it knows."""
        return self.is_secure or request.url.scheme == "https"

    def cookie(self, request: Request) -> str:
        """The value of that cookie; empty without one."""
        return request.cookies.get(self.cookie_name(request), "")

    def named(self, request: Request) -> tuple[str, str]:
        """Namespace and name of the Workflow in the path. Raises Fault."""
        namespace = namespace_name(request.path_params["namespace"])
        name = object_name(request.path_params["name"], "the name of the workflow")
        if self.scope not in (None, namespace):
            raise Fault(404, f"the dashboard shows the namespace {self.scope} alone")
        return namespace, name

    def check_write(self, request: Request, person: Person) -> None:
        """Raises Fault unless a request that changes something comes from a page of the dashboard."""
        if not self.people.is_csrf(person, request.headers.get("x-csrf-token", "")):
            raise Fault(403, "the request lacks the token of its page; load the page again")

    @property
    def is_local(self) -> bool:
        return self.people.auth is Auth.LOCAL


def object_name(text: str, what: str) -> str:
    """A name that may be part of a path of the API server, where a slash would lead to something else. Raises Fault."""
    if not is_name(text):
        raise Fault(400, f"{what} is {text[:60]!r}; a name has lower-case letters, digits, dots and dashes")
    return text


def namespace_name(text: str) -> str:
    """A name that a namespace can have: nobody is asked about another one. Raises Fault."""
    if not is_name(text) or "." in text or len(text) > MAX_VALUE:
        raise Fault(
            400,
            f"the namespace is {text[:80]!r}; its name has at most {MAX_VALUE} lower-case letters, digits and dashes",
        )
    return text


def json_answer(content: Any, status: int = 200) -> Response:
    """An answer that is not kept."""
    return bytes_answer(encode(content), status)


def bytes_answer(content: bytes, status: int = 200, cache: str = "no-store") -> Response:
    """JSON that is encoded already."""
    return Response(content, status, {"cache-control": cache}, "application/json")


def fault_of(error: KubeError) -> Fault:
    """How an error of the API server is answered."""
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 502)
    return Fault(status, error.message)


def fault_answer(fault: Fault) -> Response:
    answer = json_answer({"message": str(fault)}, fault.status)
    if fault.after:
        answer.headers["retry-after"] = str(fault.after)
    return answer
