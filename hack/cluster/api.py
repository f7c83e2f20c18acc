"""A few plain HTTPS calls to the cluster's API server, without a client library.

Enough to wait for readiness, to create nodes and to watch pods; tests and the controller use their own clients.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

_TIMEOUT = 10.0


class ApiStatusError(Exception):
    """The API server answered with an error; `code` is the HTTP status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Api:
    """The API server that a kubeconfig names, with the client certificate found there."""

    host: str
    port: int
    tls: ssl.SSLContext

    @classmethod
    def from_kubeconfig(cls, kubeconfig: Path) -> Api:
        """Reads the only cluster and the only user of `kubeconfig` (certificates as file names)."""
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        tls.load_cert_chain(user["client-certificate"], user["client-key"])
        url = urlsplit(cluster["server"])
        return cls(url.hostname or "127.0.0.1", url.port or 443, tls)

    def request(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> bytes:
        """The response's body. Raises ApiStatusError for an HTTP error, OSError if the server can't be reached."""
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=_TIMEOUT, context=self.tls)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": content_type, "User-Agent": "local-cluster"})
            response = connection.getresponse()
            text = response.read()
        except http.client.HTTPException as error:
            raise OSError(f"the API server broke off: {error!r}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise ApiStatusError(response.status, text.decode(errors="replace")[:500])
        return text

    def get(self, path: str) -> Any:
        """The decoded JSON at `path`."""
        return json.loads(self.request("GET", path))

    def watch(self, path: str, timeout: float) -> Iterator[bytes]:
        """Raw JSON lines of a watch; ends when the server closes it. Silence of `timeout` seconds raises OSError."""
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.tls)
        try:
            connection.request("GET", path, headers={"User-Agent": "local-cluster"})
            response = connection.getresponse()
            if response.status >= 400:
                raise ApiStatusError(response.status, response.read().decode(errors="replace")[:500])
            while line := response.readline():
                yield line
        except http.client.HTTPException as error:
            raise OSError(f"the watch broke off: {error!r}") from error
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether the API server answers and says that it is ready."""
        try:
            return self.request("GET", "/readyz") == b"ok"
        except (OSError, ApiStatusError):
            return False
