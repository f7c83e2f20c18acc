"""Keeps the webhook's own certificate: in a Secret that all replicas share, and in the CA bundles that trust it.

Every replica looks at the Secret and at the configurations again and again, and does the next step of the plan. Each
write names the version that it was computed from, so of two replicas one succeeds and the other looks again.

A pass reads the configurations before the Secret. So a replica that knows an old Secret also knows an old version of
the configurations, and cannot take away a CA that another replica has added.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from pkg.apis.meta import GVR
from pkg.kube.client import Client
from pkg.kube.errors import Conflict, KubeError, NotFound
from pkg.serving.certificate_source import Source, Use
from pkg.serving.tls import BadCertificate
from pkg.webhooks.certificates import stored as secrets
from pkg.webhooks.certificates.injection import Injector
from pkg.webhooks.certificates.issue import Issued, issue
from pkg.webhooks.certificates.plan import Issue, Policy, Write, plan

_SECRETS: Final = GVR("", "v1", "secrets")
_POLL_SECONDS: Final = 20.0
_AGAIN_SECONDS: Final = 0.1
_RETRY_SECONDS: Final = 1.0
_MISSING: Final = "the Secret does not exist; `kubectl apply -f installer/controller/` makes an empty one"
_log = structlog.get_logger("certificates")


@dataclass(frozen=True, slots=True)
class Place:
    """The Secret."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Keeper(Source[Issued]):
    """A thread that keeps the certificate. `names`: what it has to be valid for; `clock`: seconds since the epoch."""

    def __init__(
        self,
        client: Client,
        place: Place,
        names: frozenset[str],
        policy: Policy,
        injector: Injector,
        use: Use,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(use, f"the Secret {place} has not been read yet")
        self._client = client
        self._place = place
        self._names = names
        self._policy = policy
        self._injector = injector
        self._clock = clock
        self._poll = min(_POLL_SECONDS, policy.grace / 3)

    def look(self) -> float:
        """One pass, with its faults in the log."""
        try:
            return _AGAIN_SECONDS if self.step() else self._poll
        except KubeError as error:
            self._fail(_MISSING if isinstance(error, NotFound) else str(error))
            return self._poll if self._used is not None else _RETRY_SECONDS
        except Exception as error:
            _log.exception("certificates cannot be kept")
            self._problem = f"{type(error).__name__}: {error}"
            return self._poll

    def step(self) -> bool:
        """One pass. True if something was written, or was changed by another, so that there may be more to do.

        Raises KubeError.
        """
        registrations = self._injector.read()
        secret = self._client.get(_SECRETS, self._place.namespace, self._place.name, dict)
        stored = secrets.decode(_data(secret))
        if stored.serving is not None and stored.serving[0] != self._used:
            try:
                self._use(stored.serving[0].certificate, stored.serving[0].key)
                self._used = stored.serving[0]
            except BadCertificate as error:  # OpenSSL reads more of it than `decode` does
                _log.warning("the stored certificate cannot be used, it is made anew", error=str(error))
                stored = secrets.Stored(trusted=stored.trusted)
        self._problem = None
        todo = plan(stored.state(registrations.bundles), self._names, self._clock(), self._policy)
        try:
            if not isinstance(todo, tuple):
                self._write(secret, stored, todo)
                return True
            written = False
            for step in todo:
                found = registrations.found[step.configuration]
                if found is not None:
                    bundle = stored.bundle(step.authorities)
                    written = self._injector.inject(step.configuration, found, bundle) or written
            return written or (not todo and self._injector.point_here(registrations))
        except Conflict:
            return True

    def _write(self, secret: dict[str, Any], stored: secrets.Stored, todo: Write) -> None:
        now = self._clock()
        made = issue(todo.names, now, self._policy.lifetime) if isinstance(todo, Issue) else None
        changed = secrets.changed(stored, todo, made, now)
        encoded = {key: base64.b64encode(value).decode() for key, value in secrets.encode(changed).items()}
        others = {key: value for key, value in (secret.get("data") or {}).items() if key not in secrets.KEYS}
        body = {**secret, "data": {**others, **encoded}}
        self._client.replace(_SECRETS, self._place.namespace, self._place.name, body, dict)
        _log.info("certificates changed", step=type(todo).__name__, secret=str(self._place))

    def _fail(self, problem: str) -> None:
        if self._problem != problem:
            _log.warning("certificates cannot be kept", secret=str(self._place), error=problem)
        self._problem = problem


def _data(secret: Mapping[str, Any]) -> dict[str, bytes]:
    try:
        return {key: base64.b64decode(value or "") for key, value in (secret.get("data") or {}).items()}
    except (ValueError, AttributeError, TypeError):
        return {}
