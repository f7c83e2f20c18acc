"""TLS contexts that follow rotated certificate files.

Certificates rotate while the controller runs. A new connection reads the current files, and builds a new context only
if they changed. Keys given as data stay in memory where the system allows it.
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
    """Returns the TLS context for a new connection. Thread-safe.

    `ca` is a PEM bundle or its file (None: that of the system). `verify=False` accepts any server certificate
    (insecure-skip-tls-verify in a kubeconfig). A call raises OSError (such as ssl.SSLError) for unreadable or invalid
    files.
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
        # Not create_default_context: its strict X.509 checks refuse the CAs of common cluster installers.
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
    """A path to `content`, for an API that accepts only paths; in memory where memfd exists."""
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
