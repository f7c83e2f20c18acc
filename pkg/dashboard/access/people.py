"""People, and the client of the API server that has their rights.

Auth `local`: everybody who reaches the dashboard, which listens on loopback, has the rights of whoever started it, as
with `kubectl proxy`. Auth `token`: each request carries a bearer token of its own, by a header that a proxy sets or by
the cookie of a login, and has the rights of that token and no others.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from pkg.apis.meta import GVR
from pkg.kube.client import Client
from pkg.kube.config import ClientConfig, ConfigError
from pkg.kube.credentials import Static, bearer

_COOKIE: Final = "workflow-dashboard"
#: Seconds after which a login ends, and after which it ends without a request.
LOGIN_SECONDS: Final = 12 * 3600.0
IDLE_SECONDS: Final = 3600.0
_MAX_LOGINS: Final = 2_000
_MAX_CLIENTS: Final = 500
#: Seconds between two looks for logins and tokens that nobody uses any more.
_TIDY_SECONDS: Final = 60.0
_SELF: Final = GVR("authentication.k8s.io", "v1", "selfsubjectreviews")


class Auth(StrEnum):
    """Whose rights a request has."""

    LOCAL = "local"
    TOKEN = "token"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody. key: names the rights, and is no secret; client: has these rights."""

    key: str
    client: Client


class _User(msgspec.Struct, frozen=True):
    username: str = ""


class _UserInfo(msgspec.Struct, frozen=True, rename="camel"):
    user_info: _User = _User()


class _Review(msgspec.Struct, frozen=True):
    status: _UserInfo = _UserInfo()


@dataclass(slots=True)
class _Login:
    token: str
    key: str
    began: float
    used: float

    def is_over(self, now: float) -> bool:
        return now - self.began > LOGIN_SECONDS or now - self.used > IDLE_SECONDS


@dataclass(slots=True)
class _Known:
    person: Person
    used: float


class People:
    """Knows the clients of people, and their logins. Thread-safe. make: a client of these credentials.

    A token is forgotten after the logout, when its login is over, and when nobody has come with it for IDLE_SECONDS.
    """

    def __init__(
        self,
        auth: Auth,
        config: ClientConfig,
        own: Client,
        make: Callable[[ClientConfig], Client],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.auth = auth
        self._config = config
        self._own = Person("local", own)
        self._make = make
        self._clock = clock
        self._lock = threading.Lock()
        self._secret = secrets.token_bytes(32)
        self._people: OrderedDict[str, _Known] = OrderedDict()
        self._logins: OrderedDict[str, _Login] = OrderedDict()
        self._tidied = clock()

    def find(self, authorization: str, cookie: str) -> Person | None:
        """Who sends these headers; None: a login is needed."""
        if self.auth is Auth.LOCAL:
            return self._own
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return self.of_token(token)
        login = self._login(cookie)
        return self.of_token(login.token) if login is not None else None

    def of_token(self, token: str) -> Person | None:
        """Whoever has this token; None if it cannot be one."""
        try:
            header = bearer(token, "the token")
        except ConfigError:
            return None
        key = self._digest(header)
        now = self._clock()
        with self._lock:
            self._tidy(now)
            known = self._people.get(key)
            if known is not None:
                known.used = now
                self._people.move_to_end(key)
                return known.person
        # Neither the dashboard's certificate nor its impersonation may go with the token of somebody else.
        config = msgspec.structs.replace(self._config, credentials=Static(header), headers=())
        made = _Known(Person(key, self._make(config)), now)
        with self._lock:
            found = self._people.setdefault(key, made)
            if len(self._people) > _MAX_CLIENTS:
                self._people.popitem(last=False)
        return found.person

    @property
    def tokens(self) -> int:
        """How many are in memory."""
        with self._lock:
            return len(self._people)

    @property
    def logins(self) -> int:
        """How many there are."""
        with self._lock:
            return len(self._logins)

    def username(self, person: Person) -> str:
        """What the API server calls somebody. Raises KubeError, Unauthorized for a token that it refuses."""
        body = {"apiVersion": _SELF.api_version, "kind": "SelfSubjectReview"}
        return person.client.review(_SELF, body, _Review).status.user_info.username

    def login(self, token: str, person: Person) -> str:
        """Remembers the token of somebody, which was tried; the value of the cookie."""
        value = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            self._logins[_hashed(value)] = _Login(token, person.key, now, now)
            if len(self._logins) > _MAX_LOGINS:
                self._end(next(iter(self._logins)))
        return value

    def logout(self, cookie: str) -> None:
        """Forgets a login."""
        with self._lock:
            self._end(_hashed(cookie))

    def csrf(self, person: Person) -> str:
        """What a request that changes something has to repeat: only a page of the dashboard can read it."""
        return self._digest(f"csrf {person.key}")

    def is_csrf(self, person: Person, value: str) -> bool:
        """Whether it was repeated."""
        return hmac.compare_digest(self.csrf(person).encode(), value.encode())

    def _login(self, cookie: str) -> _Login | None:
        now = self._clock()
        with self._lock:
            self._tidy(now)
            login = self._logins.get(_hashed(cookie)) if cookie else None
            if login is None:
                return None
            if login.is_over(now):
                self._end(_hashed(cookie))
                return None
            login.used = now
            return login

    def _end(self, hashed: str) -> None:
        """Forgets a login, and its token unless another login has it too."""
        login = self._logins.pop(hashed, None)
        if login is not None and all(other.key != login.key for other in self._logins.values()):
            self._people.pop(login.key, None)

    def _tidy(self, now: float) -> None:
        if now < self._tidied + _TIDY_SECONDS:
            return
        self._tidied = now
        for hashed in [hashed for hashed, login in self._logins.items() if login.is_over(now)]:
            self._end(hashed)
        for key in [key for key, known in self._people.items() if now - known.used > IDLE_SECONDS]:
            del self._people[key]

    def _digest(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def cookie_name(host: str, base_path: str, *, is_secure: bool) -> str:
    """The name of the cookie of a login. host: as the browser names the dashboard; base_path: the prefix, or empty;
    is_secure: whether the browser reaches it by HTTPS.

    A browser sends a cookie to every port of a host, and to every address below its path. So the port, which a browser
    leaves out where it is that of the scheme, and the prefix are in the name: dashboards beside each other would end
    each other's logins.
    """
    _, colon, port = host.rpartition(":")
    if not colon or not port.isdecimal():
        port = "443" if is_secure else "80"
    return f"{_COOKIE}-{port}{base_path.replace('/', '+')}"


def _hashed(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
