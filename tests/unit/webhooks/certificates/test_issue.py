"""Certificates that are made and read again; a real TLS handshake says whether they are right."""

from __future__ import annotations

import ssl
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pkg.serving.tls import load, new_context
from pkg.webhooks.certificates.issue import Issued, Unreadable, authorities, expiry, issue, read

NOW = 1_790_000_000.0
NAMES = frozenset({"workflow-webhook", "workflow-webhook.workflow-system.svc", "127.0.0.1", "::1"})
ONE = issue(NAMES, NOW, 3600.0)
TWO = issue(NAMES, NOW, 3600.0)


def test_a_generation_is_read_as_it_was_made() -> None:
    found = read(ONE)
    assert (found.names, found.not_before, found.not_after) == (NAMES, NOW - 300, NOW + 3600)
    assert list(authorities(ONE.authority)) == [found.authority]
    assert expiry(ONE.certificate) == NOW + 3600


def test_keys_are_of_p_256_and_begin_before_now_because_clocks_differ() -> None:
    certificate = x509.load_pem_x509_certificate(ONE.certificate)
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert certificate.not_valid_before_utc.timestamp() == NOW - 300
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    "issued",
    [
        pytest.param(replace(ONE, authority=TWO.authority), id="the CA of another"),
        pytest.param(replace(ONE, key=TWO.key), id="the key of another"),
        pytest.param(replace(ONE, certificate=ONE.authority), id="the CA as the certificate"),
        pytest.param(replace(ONE, certificate=b"garbage"), id="no certificate"),
        pytest.param(replace(ONE, key=b""), id="no key"),
        pytest.param(Issued(b"", b"", b""), id="nothing"),
    ],
)
def test_what_does_not_belong_together_is_unreadable(issued: Issued) -> None:
    with pytest.raises(Unreadable):
        read(issued)


def handshake(serving: Issued, trusted: bytes, name: str) -> None:
    """TLS between two ends in memory, at the real time."""
    server_context = new_context()
    load(server_context, serving.certificate, serving.key)
    client_context = ssl.create_default_context(cadata=trusted.decode())
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    ends = [client, server]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass


def around_the_present(names: frozenset[str]) -> Issued:
    """Valid for a century, because a handshake looks at the real time."""
    return issue(names, NOW, 100 * 365 * 86400.0)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_client_that_trusts_the_ca_accepts_each_name(name: str) -> None:
    issued, other = around_the_present(NAMES), around_the_present(NAMES)
    handshake(issued, issued.authority, name)
    handshake(issued, other.authority + issued.authority, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(issued, other.authority, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(issued, issued.authority, "other.example.com")
