"""A certificate in files that somebody else replaces, one after the other."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as s

from pkg.serving.certificate_files import Files
from pkg.serving.tls import load, new_context
from pkg.webhooks.certificates.issue import Issued, issue


class Using:
    """A context, and how often it got a certificate."""

    def __init__(self) -> None:
        self.context: ssl.SSLContext = new_context()
        self.used: list[bytes] = []

    def __call__(self, certificate: bytes, key: bytes) -> None:
        load(self.context, certificate, key)
        self.used.append(certificate)


@pytest.fixture
def using() -> Using:
    return Using()


@pytest.fixture
def files(tmp_path: Path, using: Using) -> Files:
    return Files(tmp_path / "tls.crt", tmp_path / "tls.key", using)


def new() -> Issued:
    return issue(frozenset({"a"}), time.time(), 3600.0)


def test_files_are_used_once_they_are_there_and_fit(tmp_path: Path, files: Files, using: Using) -> None:
    first, second = new(), new()
    files.step()
    assert "tls.crt" in (files.lacks() or "")
    (tmp_path / "tls.crt").write_bytes(first.certificate)
    (tmp_path / "tls.key").write_bytes(second.key)
    files.step()
    assert "cannot be used" in (files.lacks() or "")
    (tmp_path / "tls.key").write_bytes(first.key)
    files.step()
    files.step()
    assert (files.lacks(), using.used) == (None, [first.certificate])


def test_while_they_are_replaced_the_previous_ones_stay(tmp_path: Path, files: Files, using: Using) -> None:
    first, second = new(), new()
    for issued in (first, second):
        (tmp_path / "tls.crt").write_bytes(issued.certificate)
        files.step()
        (tmp_path / "tls.key").write_bytes(issued.key)
        files.step()
        assert files.lacks() is None
    assert using.used == [first.certificate, second.certificate]
    (tmp_path / "tls.key").unlink()
    files.step()
    assert files.lacks() is None


def test_a_key_with_a_password_is_refused_without_a_question(tmp_path: Path, files: Files) -> None:
    issued = new()
    key = s.load_pem_private_key(issued.key, None)
    locked = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"secret"))
    (tmp_path / "tls.crt").write_bytes(issued.certificate)
    (tmp_path / "tls.key").write_bytes(locked)
    files.step()
    assert "password" in (files.lacks() or "")
