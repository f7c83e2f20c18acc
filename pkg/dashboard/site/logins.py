"""Logging in with a token, and out."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pkg.dashboard.access.people import LOGIN_SECONDS
from pkg.dashboard.site.bodies import body_as
from pkg.dashboard.site.services import Fault, Services, json_answer
from pkg.kube.errors import Unauthorized


class _Given(msgspec.Struct, frozen=True):
    token: str = ""


class Logins:
    """Handlers."""

    def __init__(self, services: Services) -> None:
        self._of = services

    async def login(self, request: Request) -> Response:
        """Takes `{token}`; the cookie of the answer stands for it. The token itself never reaches the page again."""
        of = self._of
        if of.is_local:
            raise Fault(404, "this dashboard has no logins: it has the rights of whoever started it")
        given = await body_as(request, _Given)
        person = of.people.of_token(given.token)
        if person is None:
            raise Fault(400, "that is no token: it must be one line of ASCII characters")
        try:
            with of.shares.use(None):
                username = await of.call(of.people.username, person)
        except Unauthorized as error:
            raise Fault(401, "the API server does not accept this token; it may have expired") from error
        of.shares.accept(person)
        answer = json_answer({"user": username, "csrf": of.people.csrf(person)})
        answer.set_cookie(
            of.cookie_name(request),
            of.people.login(given.token.strip(), person),
            max_age=int(LOGIN_SECONDS),
            path=of.base_path or "/",
            secure=of.is_https(request),
            httponly=True,
            samesite="strict",
        )
        return answer

    async def logout(self, request: Request) -> Response:
        """Forgets the login, and ends its streams."""
        of, person = self._of, self._of.person(request)
        of.check_write(request, person)
        of.people.logout(of.cookie(request))
        of.visits.end(person)
        answer = json_answer({})
        name, path = of.cookie_name(request), of.base_path or "/"
        answer.delete_cookie(name, path=path, httponly=True, samesite="strict")
        answer.headers["clear-site-data"] = '"cache"'
        return answer
