"""Credentials for the API server: tokens and client certificates, renewed while the controller runs.

Files are read again, because kubelets and people rotate them. Plugins run again before their credentials expire and
after the server refused them. Every request asks for the current credentials; that is cheap.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

_REREAD_SECONDS = 30.0
_EXPIRY_MARGIN_SECONDS = 60.0


class ConfigError(Exception):
    """The client configuration is missing or invalid; the message names the file, the field and the remedy."""


class Credentials(Protocol):
    """A source of credentials. Its methods are called from many threads."""

    def authorization(self) -> str:
        """The value of the Authorization header, empty if there is none."""

    def certificate(self) -> bytes | None:
        """The client certificate chain followed by its key, in PEM; None if there is none. OSError if unreadable."""

    def invalidate(self) -> None:
        """The server refused the credentials: renew them before the next request."""


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
    """A bearer token in a file that the kubelet, or somebody else, rewrites before the token expires."""

    def __init__(self, path: Path, certificate: Static | None = None, clock: Callable[[], float] = time.monotonic):
        self._path = path
        self._certificate = certificate or Static()
        self._clock = clock
        self._header = ""
        self._read_at = float("-inf")

    def authorization(self) -> str:
        now = self._clock()
        if now - self._read_at >= _REREAD_SECONDS:
            try:
                token = self._path.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                if not self._header:
                    raise ConfigError(f"cannot read the token file {self._path}: {error}") from error
                token = ""
            if token:
                self._header = f"Bearer {token}"
            elif not self._header:
                raise ConfigError(f"the token file {self._path} is empty")
            self._read_at = now
        return self._header

    def certificate(self) -> bytes | None:
        return self._certificate.certificate()

    def invalidate(self) -> None:
        self._read_at = float("-inf")


class Issued(msgspec.Struct, frozen=True):
    """Credentials from a plugin: an Authorization header, a PEM certificate with key, the expiry in epoch seconds."""

    header: str = ""
    pem: bytes | None = None
    expires: float | None = None


class Plugin:
    """Credentials that a program or an identity provider issues; renewed shortly before they expire."""

    def __init__(self, issue: Callable[[], Issued], clock: Callable[[], float] = time.time) -> None:
        self._issue = issue
        self._clock = clock
        self._lock = threading.Lock()
        self._issued: Issued | None = None
        self._refused = False
        self._failed_at = float("-inf")

    def current(self) -> Issued:
        """The current credentials. While one thread runs the plugin, the others use the previous ones."""
        issued = self._issued
        if issued is not None and not self._is_due(issued):
            return issued
        if not self._lock.acquire(blocking=issued is None):
            assert issued is not None
            return issued
        try:
            issued = self._issued
            if issued is None or self._is_due(issued):
                issued = self._renew(issued)
            return issued
        finally:
            self._lock.release()

    def authorization(self) -> str:
        return self.current().header

    def certificate(self) -> bytes | None:
        return self.current().pem

    def invalidate(self) -> None:
        self._refused = True

    def _is_due(self, issued: Issued) -> bool:
        now = self._clock()
        if now - self._failed_at < _REREAD_SECONDS:
            return False
        return self._refused or (issued.expires is not None and now >= issued.expires - _EXPIRY_MARGIN_SECONDS)

    def _renew(self, old: Issued | None) -> Issued:
        try:
            self._issued = self._issue()
        except ConfigError:
            if old is None:
                raise
            # The previous credentials may still be valid; the server decides.
            self._failed_at = self._clock()
            return old
        self._refused = False
        return self._issued


def exec_plugin(spec: Mapping[str, Any], cwd: Path, cluster: Mapping[str, Any], where: str) -> Plugin:
    """Credentials from the program in the `exec` section of a kubeconfig user."""

    def issue() -> Issued:
        from kubernetes.config.config_exception import ConfigException
        from kubernetes.config.exec_provider import ExecProvider
        from kubernetes.config.kube_config import ConfigNode

        try:
            node = ConfigNode("exec", dict(spec))  # type: ignore[no-untyped-call]
            provider = ExecProvider(node, str(cwd), ConfigNode("cluster", dict(cluster)))  # type: ignore[no-untyped-call]
            status = provider.run()  # type: ignore[no-untyped-call]
        except (ConfigException, OSError) as error:
            raise ConfigError(
                f"{where}: the credential plugin {spec.get('command')!r} failed: {error}; run it by hand to see why"
            ) from error
        return _issued(status, f"{where}: the credential plugin {spec.get('command')!r}")

    return Plugin(issue)


def auth_provider(merged: Mapping[str, Any], name: str, where: str) -> Plugin:
    """Credentials from the legacy `auth-provider` section (oidc, gcp) of `merged`, a whole kubeconfig document."""

    def issue() -> Issued:
        from kubernetes.client.configuration import Configuration
        from kubernetes.config.config_exception import ConfigException
        from kubernetes.config.kube_config import KubeConfigLoader

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


def _issued(status: Mapping[str, Any], where: str) -> Issued:
    token, cert, key = (status.get(name) for name in ("token", "clientCertificateData", "clientKeyData"))
    if not token and not (cert and key):
        raise ConfigError(f"{where} returned neither status.token nor clientCertificateData with clientKeyData")
    expires = None
    if stamp := status.get("expirationTimestamp"):
        try:
            expires = datetime.fromisoformat(str(stamp)).timestamp()
        except ValueError as error:
            raise ConfigError(f"{where} returned an expirationTimestamp that is not a time: {stamp!r}") from error
    pem = f"{str(cert).rstrip()}\n{key}".encode() if cert and key else None
    return Issued(f"Bearer {token}" if token else "", pem, expires)
