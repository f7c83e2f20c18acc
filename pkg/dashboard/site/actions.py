"""What a viewer may do to a Workflow, with their own rights, and only where the dashboard was started with it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pkg.apis.flow.v1alpha1.types import ApprovalDecision
from pkg.dashboard.site.bodies import body_as
from pkg.dashboard.site.services import Fault, Services, json_answer
from pkg.kube.client import Client
from pkg.views.actions import Action, Change, Impossible, Unchanged, verdict
from pkg.views.approving import CannotDecide
from pkg.views.briefs import read_brief
from pkg.views.copies import ParameterFault, check_parameter_name
from pkg.views.deciding import send_decision
from pkg.views.retries import Again, CannotRetry
from pkg.views.retrying import new_token, read_retry, send_retry
from pkg.views.sending import send

_DECISIONS: Final = {"approve": ApprovalDecision.APPROVE, "reject": ApprovalDecision.REJECT}
_RETRY: Final = "retry"
WORDS: Final = (*Action, *_DECISIONS, _RETRY)


class Given(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a request. target, comment: of a decision, FLOW or FLOW/INDEX; flows: of a retry, all that did not
    succeed if there are none; parameters: of a retry, new values by name; shown: what the person saw that a retry would
    run again; without it nothing is changed, and the answer is what to show.
    """

    target: str = ""
    comment: str = ""
    flows: tuple[str, ...] = ()
    parameters: dict[str, str] = msgspec.field(default_factory=dict)
    shown: tuple[Again, ...] | None = None


class Actions:
    """Handlers."""

    def __init__(self, services: Services) -> None:
        self._of = services

    async def act(self, request: Request) -> Response:
        """Suspends, resumes, stops, terminates or retries one Workflow, or decides about an approval."""
        of, person = self._of, self._of.person(request)
        if not of.allow_actions:
            raise Fault(403, "this dashboard only shows; it acts where it was started with --allow-actions")
        of.check_write(request, person)
        namespace, name = of.named(request)
        word = request.path_params["action"]
        if word not in WORDS:
            raise Fault(404, f"there is no action {word[:40]!r}; there are {', '.join(WORDS)}")
        given = await body_as(request, Given)
        _check(given)
        outcome = "failed"
        try:
            answer = await of.call(_done, person.client, word, namespace, name, given)
            outcome = "done"
        except (CannotDecide, CannotRetry) as error:
            raise Fault(409, str(error)) from error
        finally:
            of.metrics.actions.labels(word, outcome).inc()
        return json_answer(answer)


def _done(client: Client, word: str, namespace: str, name: str, given: Given) -> dict[str, Any]:
    """What the person is told. Raises Fault, CannotDecide, CannotRetry, KubeError."""
    if word in _DECISIONS:
        decided = send_decision(client, namespace, name, given.target, _DECISIONS[word], given.comment)
        return {"message": decided.done}
    if word == _RETRY:
        return _retried(client, namespace, name, given)
    brief = read_brief(client, namespace, name)
    found = verdict(Action(word), brief)
    match found:
        case Change():
            send(client, brief, found)
            said = found.done
        case Unchanged():
            said = found.said
        case Impossible():
            raise Fault(409, f"{name} {found.why}")
    return {"message": f"{name} {said}"}


def _retried(client: Client, namespace: str, name: str, given: Given) -> dict[str, Any]:
    token = new_token()
    if given.shown is None:
        missing: list[str] = []
        planned = read_retry(client, namespace, name, token, given.flows, given.parameters, missing.append)
        return {
            "again": planned.again,
            "count": planned.count,
            "parameters": planned.parameters,
            "unused": planned.unused,
            "unread": missing,
        }
    planned = send_retry(client, namespace, name, given.shown, token, given.flows, given.parameters)
    return {"message": f"{name} retried: {planned.count:,} {'task runs' if planned.count == 1 else 'tasks run'} again"}


def _check(given: Given) -> None:
    """Raises Fault for a parameter that can have no such name."""
    try:
        for name in given.parameters:
            check_parameter_name(name)
    except ParameterFault as error:
        raise Fault(400, str(error)) from error
