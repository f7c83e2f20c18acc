"""TLS contexts that follow rotated certificate files.

Certificates rotate while the controller runs. A new connection reads the current files; an idle one is dropped within
`CHECK_SECONDS` after they changed. While both files of a certificate are being replaced they do not fit together for a
moment: the previous context stays in use until they do. Keys given as data stay in memory where the system allows it.
"""

from __future__ import annotations

import os
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pkg.kube.credentials import ConfigError, Credentials, read
from pkg.kube.log import Log

CHECK_SECONDS = 10.0
_RETRY_SECONDS = 1.0
_log = Log("kube.tls")


class TlsContexts:
    """The current TLS context, and the number of the identity that it stands for. Thread-safe.

    `ca` is a PEM bundle or its file (None: that of the system). `verify=False` accepts any server certificate
    (insecure-skip-tls-verify in a kubeconfig). Methods raise OSError (such as ssl.SSLError) for unreadable or invalid
    files, but only as long as there never were valid ones.
    """

    def __init__(
        self,
        ca: bytes | Path | None,
        verify: bool,
        credentials: Credentials,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ca = ca
        self._verify = verify
        self._credentials = credentials
        self._clock = clock
        self._lock = threading.Lock()
        self._material: tuple[bytes | None, bytes | None] | None = None
        self._current: tuple[ssl.SSLContext, int] | None = None
        self._check_at = float("-inf")
        self._fault = ""

    def __call__(self) -> ssl.SSLContext:
        """The context of the current files."""
        return self.current()[0]

    def current(self) -> tuple[ssl.SSLContext, int]:
        """The context of the current files, and its identity."""
        with self._lock:
            return self._update()

    def identity(self) -> int:
        """A number that changes with the CA, the certificate or its key; read again every `CHECK_SECONDS`."""
        current = self._current
        if current is not None and self._clock() < self._check_at:
            return current[1]
        return self.current()[1]

    def refresh(self) -> None:
        """Read the files again at the next call of `identity`."""
        self._check_at = float("-inf")

    @property
    def has_certificate(self) -> bool:
        """Whether the current context presents a client certificate."""
        return self._material is not None and self._material[1] is not None

    def _update(self) -> tuple[ssl.SSLContext, int]:
        try:
            material = (read(self._ca) if self._ca is not None else None, self._credentials.certificate())
            if self._current is None or material != self._material:
                number = 1 if self._current is None else self._current[1] + 1
                self._current = (self._build(*material), number)
                self._material = material
        except (OSError, ConfigError) as error:
            if self._current is None:
                raise
            self._check_at = self._clock() + _RETRY_SECONDS
            if str(error) != self._fault:
                self._fault = str(error)
                _log.warning("new TLS certificates cannot be used, the previous ones stay in use", error=self._fault)
        else:
            self._check_at = self._clock() + CHECK_SECONDS
            self._fault = ""
        return self._current

    def _build(self, ca: bytes | None, pem: bytes | None) -> ssl.SSLContext:
        # Not create_default_context: its strict X.509 checks refuse the CAs of common cluster installers.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # As Go does: every certificate of the bundle is trusted, also an intermediate without its root.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
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
                # The empty password makes an encrypted key an error; otherwise OpenSSL asks for it in the terminal.
                context.load_cert_chain(path, password="")
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
