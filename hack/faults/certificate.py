"""Makes the certificates of servers and clients that a fault run needs on 127.0.0.0/8."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

_CA = "basicConstraints=critical,CA:TRUE"
_LEAF = "subjectAltName=IP:127.0.0.1,DNS:{name}"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Certificate(NamedTuple):
    """A certificate and its key, as files."""

    cert: Path
    key: Path


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A new self-signed certificate for 127.0.0.1, and its key, as files in `folder`. SystemExit without openssl."""
    return _self_signed(folder, "cert", "key", "127.0.0.1", _LEAF.format(name="localhost"))


def new_ca(folder: Path, name: str) -> Certificate:
    """A new CA, as files in `folder`. SystemExit without openssl."""
    return _self_signed(folder, name, name, name, _CA)


def issue(folder: Path, name: str, ca: Certificate) -> Certificate:
    """A certificate with the common name `name`, for 127.0.0.1 and a host of that name, as files in `folder`."""
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text(_LEAF.format(name=name))
    _openssl("req", *_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
    signing = ("-CA", ca.cert, "-CAkey", ca.key, "-CAcreateserial", "-days", "2", "-extfile", extensions)
    _openssl("x509", "-req", "-in", request, "-out", made.cert, *signing)
    return made


def _self_signed(folder: Path, cert: str, key: str, name: str, extension: str) -> Certificate:
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / f"{cert}.pem", folder / f"{key}.pem" if cert != key else folder / f"{key}-key.pem")
    subject = ("-days", "2", "-subj", f"/CN={name}", "-addext", extension)
    _openssl("req", "-x509", *_KEY, *subject, "-keyout", made.key, "-out", made.cert)
    return made


def _openssl(*arguments: str | Path) -> None:
    if shutil.which("openssl") is None:
        raise SystemExit("openssl is not installed, and makes the certificates of the fault runs: install it")
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
