"""Whom the lying proxy lets in. It plays the API server's authentication, with credentials that rotate and expire."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from hack.faults.certificate import Certificate, issue, new_ca


class Access(Protocol):
    """Decides per request, as the API server does, and says how a kubeconfig names the credentials."""

    user: dict[str, Any]
    """The `user` of the kubeconfig."""
    client_ca: Path | None
    """The CA whose client certificates are asked for; None: none are."""

    def admits(self, authorization: str, common_name: str) -> bool:
        """Whether a request with that header, over a connection with that client certificate, may pass."""


class Everybody:
    """Asks for nothing. user: what the kubeconfig says of the user, such as whom to impersonate."""

    def __init__(self, user: dict[str, Any] | None = None) -> None:
        self.user: dict[str, Any] = user or {}
        self.client_ca: Path | None = None

    def admits(self, authorization: str, common_name: str) -> bool:
        return True


class RotatingCertificates:
    """Admits the newest client certificate alone, whose files are replaced one after the other, like a kubelet's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ca = new_ca(folder, "client-ca")
        self._cert, self._key = folder / "client.crt", folder / "client.key"
        self._number = 0
        self._newest = ""
        self.client_ca: Path | None = self._ca.cert
        self.user: dict[str, Any] = {"client-certificate": str(self._cert), "client-key": str(self._key)}
        self.rotate(0.0)

    @property
    def rotations(self) -> int:
        """How often the certificate was replaced."""
        return self._number - 1

    def rotate(self, pause: float) -> None:
        """Replace the certificate, and after `pause` seconds its key; from then on the old one is refused."""
        self._number += 1
        name = f"client-{self._number}"
        made = issue(self._folder, name, self._ca)
        _replace(self._cert, made.cert)
        time.sleep(pause)
        _replace(self._key, made.key)
        self._newest = name

    def admits(self, authorization: str, common_name: str) -> bool:
        return common_name == self._newest


class RotatingServerCertificate:
    """The proxy's own certificate: each one is signed by another CA, and the CA file is replaced with it."""

    def __init__(self, folder: Path, name: str = "127.0.0.1") -> None:
        self._folder = folder
        self._name = name
        self._number = 0
        self._cas: list[Certificate] = []
        self.ca_file = folder / "server-ca.crt"

    def renew(self) -> Certificate:
        """A certificate of a new CA; the CA file holds this CA and the one before."""
        self._number += 1
        folder = self._folder / f"server-{self._number}"
        self._cas = [*self._cas[-1:], new_ca(folder, f"server-ca-{self._number}")]
        bundle = b"".join(ca.cert.read_bytes() for ca in self._cas)
        temporary = self.ca_file.with_suffix(".new")
        temporary.write_bytes(bundle)
        os.replace(temporary, self.ca_file)
        return issue(folder, self._name, self._cas[-1])


class ExpiringTokens:
    """Admits tokens that an exec plugin issues, each for `lifetime` seconds. The plugin takes `takes` seconds."""

    def __init__(self, folder: Path, *, takes: float, lifetime: float) -> None:
        self._lock = threading.Lock()
        self.runs = folder / "plugin-runs"
        self.client_ca: Path | None = None
        script = folder / "plugin.py"
        script.write_text(_PLUGIN.format(runs=str(self.runs), takes=takes, lifetime=lifetime))
        self.user: dict[str, Any] = {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": sys.executable,
                "args": ["-S", str(script)],
                "interactiveMode": "Never",
            }
        }

    def admits(self, authorization: str, common_name: str) -> bool:
        try:
            return float(authorization.removeprefix("Bearer valid-until-")) > time.time()
        except ValueError:
            return False


_PLUGIN = """import datetime, json, time
with open({runs!r}, "a") as runs:
    runs.write("x")
time.sleep({takes})
end = time.time() + {lifetime}
stamp = datetime.datetime.fromtimestamp(end, datetime.timezone.utc).isoformat()
status = {{"token": f"valid-until-{{end}}", "expirationTimestamp": stamp}}
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}}))
"""


def _replace(target: Path, source: Path) -> None:
    """Not atomically: whoever reads meanwhile may find half a file."""
    content = source.read_bytes()
    with target.open("wb", buffering=0) as file:
        file.write(content[: len(content) // 2])
        time.sleep(0.01)
        file.write(content[len(content) // 2 :])
