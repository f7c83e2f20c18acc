"""The list of Workflows, its stream, and the session of a page."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import Request
from starlette.responses import Response

from pkg.dashboard.access.people import Person
from pkg.dashboard.access.rights import denied
from pkg.dashboard.live.encoding import encode
from pkg.dashboard.model.lines import MAX_PAGE, SORTS, Query, select
from pkg.dashboard.site.services import Fault, Services, bytes_answer, json_answer, namespace_name
from pkg.dashboard.site.streams import EventStream
from pkg.dashboard.site.visits import Stream

#: Seconds that the first list may take.
_FIRST_SECONDS = 20.0


class Lists:
    """Handlers."""

    def __init__(self, services: Services) -> None:
        self._of = services

    async def page(self, request: Request) -> Response:
        """One page of what the viewer may see. Parameters: q, namespace, phase, blocked, sort, offset, limit.

        denied: the namespace, or empty for all, of which nothing is shown because the viewer may not list Workflows.
        """
        of, person = self._of, self._of.person(request)
        query = _query(request)
        of.shares.count(person)
        is_read = await of.listing.ready(_FIRST_SECONDS)  # whoever waits for the first list has no place yet
        with of.shares.place(person):
            visible, hidden = await self._visible(person, query.namespace, is_read=is_read)
            lines, trouble = list(of.listing.lines.values()), of.listing.trouble

            def body() -> bytes:
                return encode({"page": select(lines, query, visible), "denied": hidden, "trouble": trouble})

            # In a thread: 5,000 lines take some milliseconds, in which no stream should stand still.
            return bytes_answer(await of.call(body))

    async def _visible(
        self, person: Person, wanted: str, *, is_read: bool
    ) -> tuple[Collection[str] | None, str | None]:
        """The namespaces that somebody sees, None for all; where they see none for lack of a right. Raises Fault.

        is_read: whether all Workflows have been listed.
        """
        of = self._of
        if is_read:
            visible = await of.call(of.rights.visible, person, of.scope, of.listing.namespaces, wanted)
            return visible, denied(of.scope, visible, wanted)
        if of.is_local and of.listing.is_forbidden:
            return (), of.scope or ""  # the list is read with the rights of this person
        raise Fault(503, f"the workflows cannot be read yet: {of.listing.trouble or 'the first list takes long'}")

    async def stream(self, request: Request) -> EventStream:
        """The lines that change. Parameter: namespace, that of the page.

        A viewer that misses some is sent `again`, and reads its page again.
        """
        of, person = self._of, self._of.person(request)
        wanted = _namespace(request)
        visible = await of.call(of.rights.visible, person, of.scope, of.listing.namespaces, wanted)
        viewer = of.listing.join(visible)

        def leave() -> None:
            of.listing.leave(viewer)
            of.metrics.resyncs.inc(viewer.resyncs)

        async def is_same() -> bool:
            return await of.call(of.rights.visible, person, of.scope, of.listing.namespaces, wanted) == visible

        # One who may see more, or less, connects anew.
        return of.stream(request, person, Stream.LIST, viewer, leave, is_same)

    async def ready(self, _request: Request) -> Response:
        """Whether there is anything to show: all Workflows have been listed once."""
        listing = self._of.listing
        if listing.is_read:
            return Response("ok\n", media_type="text/plain")
        why = f"Workflows have not been listed yet: {listing.trouble or 'the first list takes long'}\n"
        return Response(why, 503, media_type="text/plain")

    async def session(self, request: Request) -> Response:
        """What a page has to know before anything else; `user` is empty where a login is needed."""
        of = self._of
        common = {
            "auth": of.people.auth,
            "actions": of.allow_actions,
            "version": of.version,
            "server": of.server if of.is_local else "",
            "scope": of.scope or "",
        }
        try:
            person = of.person(request)
        except Fault:
            return json_answer({**common, "loggedIn": False, "csrf": ""})
        return json_answer({**common, "loggedIn": True, "csrf": of.people.csrf(person)})


def _query(request: Request) -> Query:
    """The parameters. Raises Fault."""
    given = request.query_params
    sort = given.get("sort", "-created")
    if sort.removeprefix("-") not in SORTS:
        raise Fault(
            400, f"sort is {sort[:40]!r}; it may be {', '.join(SORTS)}, with - in front for the other direction"
        )
    return Query(
        text=given.get("q", "")[:200],
        namespace=_namespace(request),
        phases=frozenset(filter(None, given.get("phase", "").split(","))),
        blocked=given.get("blocked", "") == "1",
        sort=sort,
        offset=_number(given.get("offset", "0"), "offset"),
        limit=min(_number(given.get("limit", "50"), "limit"), MAX_PAGE),
    )


def _namespace(request: Request) -> str:
    """The one that somebody looks at, or empty for all. Raises Fault."""
    given = request.query_params.get("namespace", "")
    return namespace_name(given) if given else ""


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 8):
        raise Fault(400, f"{name} is {text[:40]!r}; it must be a number")
    return int(text)
