"""The TLS context of the server, and how a certificate is put into it while it is in use."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager


class BadCertificate(ValueError):
    """A certificate and key that cannot be used; the message says why."""


def new_context() -> ssl.SSLContext:
    """A context without a certificate: TLS 1.2 or newer, HTTP/1.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    return context


def load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """New connections of `context` use this certificate chain and key (PEM); open ones stay as they are.

    Raises BadCertificate, and leaves the context as it was. Call it in the thread of the event loop: a handshake that
    runs in another thread could meet the new certificate beside the old key.
    """
    with _as_file(certificate) as certificate_file, _as_file(key) as key_file:
        try:
            # A context that failed to load has lost what it had, so another one tries first.
            new_context().load_cert_chain(certificate_file, key_file, password=_no_password)
            context.load_cert_chain(certificate_file, key_file, password=_no_password)
        except (OSError, ValueError) as error:
            raise BadCertificate(f"the certificate and its key cannot be used: {error}") from error


def _no_password() -> str:
    """Without it OpenSSL would ask on the terminal for the password of an encrypted key."""
    raise ValueError("the key is encrypted; it must be stored without a password")


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """The name of a file with this content, in memory alone: OpenSSL reads files, and a key should not reach a disk."""
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
