"""Credentials for the API server: tokens and client certificates, renewed while the controller runs.

Files are read again, because kubelets and people rotate them. Plugins run again before their credentials expire and
after the server refused them, in a thread of their own. Every request asks for the current credentials; that is cheap.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from pkg.kube.log import Log

PLUGIN_SECONDS = 60.0
"""How long a plugin may take."""

_REREAD_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_EXPIRY_MARGIN_SECONDS = 60.0
_PAUSE_SECONDS = 5.0
_FAILED_SECONDS = 10.0
# Runs that hang are left behind; no more than these, so that they cannot pile up.
_MAX_RUNS = 3
_log = Log("kube.credentials")


class ConfigError(Exception):
    """The client configuration is missing or invalid; the message names the file, the field and the remedy."""


class Credentials(Protocol):
    """A source of credentials. Its methods are called from many threads."""

    def authorization(self) -> str:
        """The value of the Authorization header, empty if there is none."""

    def certificate(self) -> bytes | None:
        """The client certificate chain followed by its key, in PEM; None if there is none. OSError if unreadable."""

    def invalidate(self) -> None:
        """The server refused the credentials: renew them. May wait a moment for that, but not for long."""


class Static(msgspec.Struct, frozen=True):
    """A fixed Authorization header and a client certificate; certificate files are read at each call."""

    header: str = ""
    cert: bytes | Path | None = None
    key: bytes | Path | None = None

    def authorization(self) -> str:
        return self.header

    def certificate(self) -> bytes | None:
        if self.cert is None or self.key is None:
            return None
        return read(self.cert).rstrip() + b"\n" + read(self.key)

    def invalidate(self) -> None:
        """Nothing to renew."""


class TokenFile:
    """A bearer token in a file that the kubelet or another program rewrites before the token expires."""

    def __init__(self, path: Path, certificate: Static | None = None, clock: Callable[[], float] = time.monotonic):
        self._path = path
        self._certificate = certificate or Static()
        self._clock = clock
        self._header = ""
        self._read_next = float("-inf")

    def authorization(self) -> str:
        now = self._clock()
        if now >= self._read_next:
            self._read_next = now + _REREAD_SECONDS
            try:
                self._header = bearer(self._path.read_text("utf-8"), f"the token file {self._path}")
            except (OSError, UnicodeDecodeError, ConfigError) as error:
                if not self._header:
                    raise ConfigError(f"cannot read the token file {self._path}: {error}") from error
                # It is being replaced, most likely: look again soon.
                self._read_next = now + _RETRY_SECONDS
        return self._header

    def certificate(self) -> bytes | None:
        return self._certificate.certificate()

    def invalidate(self) -> None:
        self._read_next = float("-inf")


class Issued(msgspec.Struct, frozen=True):
    """Credentials from a plugin: an Authorization header, a PEM certificate with key, the expiry in epoch seconds."""

    header: str = ""
    pem: bytes | None = None
    expires: float | None = None


class Plugin:
    """Credentials that a program or an identity provider issues.

    `issue` runs in a thread of its own, ahead of expiry and after the server refused what it issued. Nobody waits for
    it but the first caller, for `timeout` seconds, and the one whose request was refused, for `patience` seconds. A
    run that takes longer than `timeout` is abandoned.
    """

    def __init__(
        self,
        issue: Callable[[], Issued],
        clock: Callable[[], float] = time.time,
        *,
        timeout: float = PLUGIN_SECONDS + 5.0,
        patience: float = 1.0,
    ) -> None:
        self._issue = issue
        self._clock = clock
        self._timeout = timeout
        self._patience = patience
        self._changed = threading.Condition()
        self._issued: Issued | None = None
        self._issued_at = float("-inf")
        self._renew_at = float("inf")
        self._is_refused = False
        self._refused_at = float("-inf")
        self._runs: list[_Run] = []
        self._pause_until = float("-inf")
        self._error: ConfigError | None = None

    def current(self) -> Issued:
        """The current credentials. ConfigError if there were none yet, and the first run fails or hangs."""
        issued = self._issued
        if issued is not None and not self._is_due():
            return issued
        with self._changed:
            if self._is_due():
                self._start()
            if self._issued is None:
                self._changed.wait_for(lambda: self._issued is not None or not self._runs, self._timeout)
            if self._issued is None:
                raise ConfigError(str(self._error or f"no credentials were issued within {self._timeout:g} s"))
            return self._issued

    def authorization(self) -> str:
        return self.current().header

    def certificate(self) -> bytes | None:
        return self.current().pem

    def invalidate(self) -> None:
        now = time.monotonic()
        with self._changed:
            self._is_refused = True
            if now < self._refused_at + _PAUSE_SECONDS:
                return  # what it issues is refused again and again
            self._refused_at = now
            self._start()
            self._changed.wait_for(lambda: not self._runs, self._patience)

    def _is_due(self) -> bool:
        now = self._clock()
        is_paused = 0 < self._pause_until - now <= _FAILED_SECONDS  # a clock that was set back lengthens no pause
        return not is_paused and (self._issued is None or self._is_refused or now >= self._renew_at)

    def _start(self) -> None:
        """Start a run unless one is going on; the lock is held."""
        now = time.monotonic()
        if any(now - run.started_at < self._timeout for run in self._runs) or len(self._runs) >= _MAX_RUNS:
            return
        run = _Run(self._issue, self._done)
        self._runs.append(run)
        run.start()

    def _done(self, run: _Run) -> None:
        with self._changed:
            self._runs.remove(run)
            now = self._clock()
            if run.issued is None:
                self._error = run.error
                self._pause_until = now + _FAILED_SECONDS
                if self._issued is not None:
                    _log.warning("no new credentials, the previous ones stay in use", error=str(run.error))
            elif self._issued is None or run.started_at >= self._issued_at:
                self._issued, self._issued_at, self._is_refused = run.issued, run.started_at, False
                self._pause_until = now + _PAUSE_SECONDS
                self._renew_at = _renewal(run.issued.expires, now)
            self._changed.notify_all()


class _Run(threading.Thread):
    """One run of a plugin; `started_at` is in seconds of `time.monotonic`, which no change of the clock disturbs."""

    def __init__(self, issue: Callable[[], Issued], on_done: Callable[[_Run], None]) -> None:
        super().__init__(name="credentials", daemon=True)
        self.started_at = time.monotonic()
        self.issued: Issued | None = None
        self.error: ConfigError | None = None
        self._issue = issue
        self._on_done = on_done

    def run(self) -> None:
        try:
            self.issued = self._issue()
        except ConfigError as error:
            self.error = error
        except Exception as error:
            self.error = ConfigError(f"the credential plugin failed unexpectedly: {type(error).__name__}: {error}")
            _log.exception("credential plugin failed unexpectedly")
        self._on_done(self)


def _renewal(expires: float | None, now: float) -> float:
    """When to renew credentials issued now: a minute ahead of expiry, or half-way if they live for less than two."""
    if expires is None:
        return float("inf")
    return expires - min(_EXPIRY_MARGIN_SECONDS, max(0.0, expires - now) / 2)


def auth_provider(merged: Mapping[str, Any], name: str, where: str) -> Plugin:
    """Credentials from the legacy `auth-provider` section (oidc, gcp) of `merged`, a whole kubeconfig document."""

    def issue() -> Issued:
        try:
            from kubernetes.client.configuration import Configuration
            from kubernetes.config.config_exception import ConfigException
            from kubernetes.config.kube_config import KubeConfigLoader
        except ModuleNotFoundError as error:
            # It is large, and few need it: pods have service accounts.
            raise ConfigError(
                f"{where}: the auth-provider {name!r} needs the Python package kubernetes, which is not installed "
                "here; pip install 'work-flow[auth-provider]', or use an exec plugin or a token"
            ) from error

        found = Configuration()
        try:
            loader = KubeConfigLoader(config_dict=dict(merged))  # type: ignore[no-untyped-call]
            loader.load_and_set(found)  # type: ignore[no-untyped-call]
        except (ConfigException, OSError, ValueError) as error:
            raise ConfigError(f"{where}: the auth-provider {name!r} failed: {error}") from error
        header = found.api_key.get("BearerToken")
        if not header:
            raise ConfigError(f"{where}: the auth-provider {name!r} returned no token; use an exec plugin or a token")
        # The library renews the token itself when asked, but does not expose its expiry.
        return Issued(header=header, expires=time.time() + _REREAD_SECONDS + _EXPIRY_MARGIN_SECONDS)

    return Plugin(issue)


def read(source: bytes | Path) -> bytes:
    """The bytes themselves, or the current content of the file."""
    return source if isinstance(source, bytes) else source.read_bytes()


def decode64(text: object, where: str) -> bytes:
    """The decoded value of a `...-data` field; ConfigError naming the field if it is not base64."""
    try:
        return base64.b64decode("".join(str(text).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(f"{where} is not valid base64: {error}") from error


def bearer(token: str, where: str) -> str:
    """The Authorization header of a token; ConfigError if it is empty or cannot be part of a header."""
    token = token.strip()
    if not token:
        raise ConfigError(f"{where} is empty")
    if not token.isascii() or not token.isprintable():
        raise ConfigError(f"{where} does not hold a token: it must be a single line of ASCII characters")
    return f"Bearer {token}"
