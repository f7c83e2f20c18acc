"""One Workflow: its state, scene and stream from its room; everything else read with the viewer's own rights."""

from __future__ import annotations

import time
from contextlib import ExitStack

from starlette.requests import Request
from starlette.responses import Response

from pkg.dashboard.access.people import Person
from pkg.dashboard.live.room import Room, Unreadable
from pkg.dashboard.live.rooms import Full
from pkg.dashboard.site.services import Fault, Services, json_answer
from pkg.dashboard.site.streams import EventStream
from pkg.dashboard.site.visits import Stream
from pkg.kube.errors import NotFound
from pkg.views.events import read_events
from pkg.views.manifests.writing import as_yaml
from pkg.views.one_workflow import read_object, read_workflow
from pkg.views.why import why
from pkg.views.workflow_view import view

_FIRST_SECONDS = 20.0


class Workflows:
    """Handlers. Each checks first that the viewer may read the Workflow."""

    def __init__(self, services: Services) -> None:
        self._of = services

    async def state(self, request: Request) -> Response:
        """The state, as the first event of the stream has it."""
        _, namespace, name = await self._checked(request)
        with self._room(namespace, name) as opened:
            room = await self._ready(opened.room)
            return json_answer({"at": time.time(), "state": room.state})

    async def scene(self, request: Request) -> Response:
        """The scene. A browser keeps it, and asks each time whether it is still the same, and may still be seen."""
        of = self._of
        _, namespace, name = await self._checked(request)
        with self._room(namespace, name) as opened:
            room = await self._ready(opened.room)
            try:
                shape, body = await of.call(room.scene)
            except Unreadable as error:
                raise Fault(422, str(error)) from error
        headers = {"etag": f'"{shape}"', "cache-control": "private, no-cache"}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, media_type="application/json", headers=headers)

    async def stream(self, request: Request) -> EventStream:
        """The state, then a frame for each change."""
        of = self._of
        person, namespace, name = await self._checked(request)
        opened = self._room(namespace, name)
        try:
            room = await self._ready(opened.room)
            viewer = room.join()
        except BaseException:
            opened.close()
            raise

        def leave() -> None:
            room.viewers.discard(viewer)
            of.metrics.resyncs.inc(viewer.resyncs)
            opened.close()

        async def may_still() -> bool:
            await of.call(of.rights.check_get, person, namespace, name)
            return True

        return of.stream(request, person, Stream.WORKFLOW, viewer, leave, may_still)

    async def yaml(self, request: Request) -> Response:
        """The object as the API server has it, without the fields that only programs read."""
        of, person = self._of, self._of.person(request)
        namespace, name = self._of.named(request)
        found = await of.call(read_object, person.client, namespace, name)
        found.get("metadata", {}).pop("managedFields", None)
        text = await of.call(as_yaml, found)
        return Response(text, media_type="text/plain", headers={"cache-control": "no-store"})

    async def events(self, request: Request) -> Response:
        """The Events of the Workflow with its jobs and pods."""
        of, person = self._of, self._of.person(request)
        namespace, name = self._of.named(request)

        def read() -> object:
            found = read_events(person.client, read_workflow(person.client, namespace, name))
            return {"lines": found.lines[-_MAX_EVENTS:], "unread": found.unread}

        return json_answer(await of.call(read))

    async def why(self, request: Request) -> Response:
        """What it waits for, since when, and what to do."""
        of, person = self._of, self._of.person(request)
        namespace, name = self._of.named(request)

        def read() -> object:
            now = time.time()
            answer = why(view(read_workflow(person.client, namespace, name), now), now)
            return {"summary": answer.summary, "causes": answer.causes, "more": answer.more}

        return json_answer(await of.call(read))

    async def _checked(self, request: Request) -> tuple[Person, str, str]:
        """Who asks for which Workflow, which exists, and which they may read. Raises Fault, KubeError."""
        person = self._of.person(request)
        namespace, name = self._of.named(request)
        await self._of.call(self._of.rights.check_get, person, namespace, name)
        return person, namespace, name

    def _room(self, namespace: str, name: str) -> _Opened:
        try:
            return _Opened(self._of, namespace, name)
        except Full as error:
            raise Fault(503, str(error)) from error

    async def _ready(self, room: Room) -> Room:
        if not await room.ready(_FIRST_SECONDS):
            if room.is_gone:
                raise NotFound(f'workflows.flow.workflow.sh "{room.key[1]}" not found', status=404, reason="NotFound")
            raise Fault(503, f"the workflow cannot be read yet: {room.trouble or 'the first answer takes long'}")
        return room


_MAX_EVENTS = 2_000


class _Opened:
    """A room that stays open until `close`, or within the block."""

    def __init__(self, services: Services, namespace: str, name: str) -> None:
        self._stack = ExitStack()
        self.room = self._stack.enter_context(services.rooms.using(namespace, name))

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()
