"""Makes CAs and certificates, and reads what is needed of them. ECDSA P-256, PEM."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pkg.webhooks.certificates.plan import Generation

_ORGANIZATION: Final = "flow.workflow.sh"
_SKEW_SECONDS: Final = 300
_COMMON_NAME: Final = 64


class Unreadable(ValueError):
    """A stored certificate or key is not one, or they do not belong together."""


@dataclass(frozen=True, slots=True)
class Issued:
    """PEM of a CA's certificate, and of a certificate that it has signed, with its key.

    The key of the CA is not kept: each CA signs one certificate, and nobody can sign another.
    """

    authority: bytes
    certificate: bytes
    key: bytes


def issue(names: frozenset[str], now: float, lifetime: float) -> Issued:
    """A new CA, and a certificate for these names and IP addresses, valid for `lifetime` seconds from `now`.

    `now` is in seconds since the epoch. Both are valid a little before, because clocks differ.
    """
    begin = datetime.datetime.fromtimestamp(now - _SKEW_SECONDS, datetime.UTC)
    end = datetime.datetime.fromtimestamp(now + lifetime, datetime.UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # The number distinguishes the CAs of a bundle for people, and for libraries that look up an issuer by name.
    authority_name = _name(f"workflow-webhook CA {x509.random_serial_number() >> 96:x}")
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        _builder(authority_name, authority_name, authority_key, begin, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _builder(_name(min(sorted(names), key=len)[:_COMMON_NAME]), authority_name, key, begin, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in sorted(names)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return Issued(
        authority.public_bytes(pem),
        certificate.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def read(issued: Issued) -> Generation:
    """What the plan needs to know. Raises Unreadable if the three do not belong together."""
    try:
        authority = x509.load_pem_x509_certificate(issued.authority)
        certificate = x509.load_pem_x509_certificate(issued.certificate)
        key = serialization.load_pem_private_key(issued.key, password=None)
        certificate.verify_directly_issued_by(authority)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    if key.public_key() != certificate.public_key():
        raise Unreadable("the key is not that of the certificate")
    begin = max(authority.not_valid_before_utc, certificate.not_valid_before_utc).timestamp()
    end = min(authority.not_valid_after_utc, certificate.not_valid_after_utc).timestamp()
    texts = (
        *names.get_values_for_type(x509.DNSName),
        *(str(address) for address in names.get_values_for_type(x509.IPAddress)),
    )
    return Generation(fingerprint(authority), frozenset(texts), end, begin)


def expiry(certificate: bytes) -> float:
    """When the first certificate of a PEM chain expires, in seconds since the epoch. Raises Unreadable."""
    try:
        return x509.load_pem_x509_certificate(certificate).not_valid_after_utc.timestamp()
    except ValueError as error:
        raise Unreadable(str(error)) from error


def authorities(bundle: bytes) -> dict[str, bytes]:
    """The certificates in a bundle (PEM), by fingerprint, in their order. Empty if it cannot be read."""
    try:
        found = x509.load_pem_x509_certificates(bundle)
    except ValueError:
        return {}
    return {fingerprint(each): each.public_bytes(serialization.Encoding.PEM) for each in found}


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, in hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    begin: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
