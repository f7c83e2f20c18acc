"""TLS contexts that follow their files.

Certificates rotate under a running controller, so a new connection looks at what is there now and builds a new
context only if it changed. Keys that came as data never touch a disk where the system can hold them in memory.
"""

from __future__ import annotations

import os
import ssl
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pkg.kube.credentials import Credentials, read


class TlsContexts:
    """Makes the context for a new connection; safe to call from many threads.

    `ca` is a PEM bundle (None: the system's own), `verify` False accepts any server, which kubeconfig calls
    insecure-skip-tls-verify. Calling it raises OSError (ssl.SSLError is one) when files are unreadable or no PEM.
    """

    def __init__(self, ca: bytes | Path | None, verify: bool, credentials: Credentials) -> None:
        self._ca = ca
        self._verify = verify
        self._credentials = credentials
        self._lock = threading.Lock()
        self._material: tuple[bytes | None, bytes | None] | None = None
        self._context: ssl.SSLContext | None = None

    def __call__(self) -> ssl.SSLContext:
        material = (read(self._ca) if self._ca is not None else None, self._credentials.certificate())
        with self._lock:
            if self._context is None or material != self._material:
                self._context = self._build(*material)
                self._material = material
            return self._context

    def _build(self, ca: bytes | None, pem: bytes | None) -> ssl.SSLContext:
        # Not create_default_context: its X.509 strictness refuses the CAs that common cluster installers make.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif ca is None:
            context.load_default_certs()
        elif not ca.strip():
            raise ssl.SSLError("the CA bundle is empty")
        else:
            context.load_verify_locations(cadata=ca.decode("ascii", "ignore"))
        if pem is not None:
            with _as_file(pem) as path:
                context.load_cert_chain(path)
        return context


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A path to read `content` from, for an API that takes nothing else; in memory where there is memfd."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
        try:
            os.write(fd, content)
            yield f"/proc/self/fd/{fd}"
        finally:
            os.close(fd)
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            yield file.name
