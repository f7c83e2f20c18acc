"""What a viewer may do to a Workflow, with their own rights, and only where the dashboard was started with it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from pkg.dashboard.site.services import Fault, Services, json_answer
from pkg.views.actions import Action, Change, Impossible, Unchanged, verdict
from pkg.views.briefs import read_brief
from pkg.views.sending import send


class Actions:
    """Handlers."""

    def __init__(self, services: Services) -> None:
        self._of = services

    async def act(self, request: Request) -> Response:
        """Suspends, resumes, stops or terminates one Workflow."""
        of, person = self._of, self._of.person(request)
        if not of.allow_actions:
            raise Fault(403, "this dashboard only shows; it acts where it was started with --allow-actions")
        of.check_write(request, person)
        namespace, name = of.named(request)
        word = request.path_params["action"]
        if word not in tuple(Action):
            raise Fault(404, f"there is no action {word[:40]!r}; there are {', '.join(Action)}")
        brief = await of.call(read_brief, person.client, namespace, name)
        found = verdict(Action(word), brief)
        match found:
            case Change():
                await of.call(send, person.client, brief, found)
                said = found.done
            case Unchanged():
                said = found.said
            case Impossible():
                raise Fault(409, f"{name} {found.why}")
        return json_answer({"message": f"{name} {said}"})
