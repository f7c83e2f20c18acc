"""Certificates for tests that use TLS, made once per session."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

_CA = "basicConstraints=critical,CA:TRUE"
_LEAF = "subjectAltName=DNS:localhost,IP:127.0.0.1"


class Certificate(NamedTuple):
    """A certificate for 127.0.0.1 and localhost, and its key."""

    cert: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


class Authority:
    """Makes certificates with openssl."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def self_signed(self, name: str, extension: str = _LEAF) -> Certificate:
        made = self._paths(name)
        self._run("req", "-x509", *_new_key(name), "-keyout", made.key, "-out", made.cert, "-addext", extension)
        return made

    def ca(self, name: str, issuer: Certificate | None = None) -> Certificate:
        """A CA of its own, or one that `issuer` has signed."""
        return self.self_signed(name, _CA) if issuer is None else self.issue(name, issuer, _CA)

    def issue(self, name: str, issuer: Certificate, extension: str = _LEAF) -> Certificate:
        """A certificate whose common name is `name`."""
        made = self._paths(name)
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        extensions.write_text(extension)
        self._run("req", *_new_key(name), "-keyout", made.key, "-out", request)
        signing = ("-CA", issuer.cert, "-CAkey", issuer.key, "-CAcreateserial", "-days", "2", "-extfile", extensions)
        self._run("x509", "-req", "-in", request, "-out", made.cert, *signing)
        return made

    def _paths(self, name: str) -> Certificate:
        return Certificate(self._folder / f"{name}.crt", self._folder / f"{name}.key")

    def _run(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


def _new_key(name: str) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, and makes the certificates of this test")
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> Certificate:
    """A self-signed one."""
    return authority.self_signed("localhost")
