"""TLS: whom the client trusts, and certificates that rotate under it."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from pkg.apis.meta import GVR
from pkg.kube import tls
from pkg.kube.client import Client
from pkg.kube.config import ClientConfig
from pkg.kube.credentials import ConfigError, Credentials, Static
from pkg.kube.errors import Transient, Unauthorized
from pkg.kube.tls import CHECK_SECONDS, TlsContexts
from tests.unit.kube.conftest import Authority, Certificate
from tests.unit.kube.server import Peer, Server

REFUSED = b'{"kind":"Status","code":401,"reason":"Unauthorized"}'


class Pki:
    """A CA, a server's certificate, and client certificates by common name; made once per session."""

    def __init__(self, authority: Authority) -> None:
        self.root = authority.ca("root")
        self.intermediate = authority.ca("intermediate", self.root)
        self.server = authority.issue("server", self.root)
        self.server_below = authority.issue("server-below", self.intermediate)
        self.old, self.new = authority.issue("old", self.root), authority.issue("new", self.root)
        self.other_root = authority.ca("other-root")


@pytest.fixture(scope="session")
def pki(authority: Authority) -> Pki:
    return Pki(authority)


class Api:
    """Answers with the common name of the client's certificate; 401 for those in `refused`."""

    def __init__(self, pki: Pki) -> None:
        self.refused: set[str] = set()
        self.seen: list[str] = []
        self.meet: threading.Barrier | None = None
        """Requests are answered once so many have come, each over a connection of its own."""
        context = pki.server.server()
        context.load_verify_locations(pki.root.cert)
        context.verify_mode = ssl.CERT_REQUIRED
        self.server = Server(self._script, context)

    def _script(self, peer: Peer) -> None:
        name = common_name(cast("ssl.SSLSocket", peer.sock))
        while (request := peer.receive()) is not None:
            self.seen.append(name)
            if self.meet is not None:
                self.meet.wait(5)
            if name in self.refused:
                peer.reply(401, REFUSED)
            elif "watch=1" in request.line:
                peer.send(b"HTTP/1.1 200 OK\r\n\r\n{}\n")
                return
            else:
                peer.reply(200, b'{"cn":"%s"}' % name.encode())


def common_name(sock: ssl.SSLSocket) -> str:
    parts: Any = (sock.getpeercert() or {})["subject"]
    return str(dict(part[0] for part in parts)["commonName"])


@pytest.fixture
def api(pki: Pki) -> Iterator[Api]:
    found = Api(pki)
    with found.server:
        yield found


class Files:
    """The certificate files of a client, which rotate."""

    def __init__(self, pki: Pki, folder: Path) -> None:
        self._pki = pki
        self.ca, self.cert, self.key = folder / "ca.crt", folder / "client.crt", folder / "client.key"
        self.ca.write_bytes(pki.root.cert.read_bytes())
        self.rotate(pki.old)

    def rotate(self, certificate: Certificate) -> None:
        self.cert.write_bytes(certificate.cert.read_bytes())
        self.key.write_bytes(certificate.key.read_bytes())

    def contexts(self, clock: Callable[[], float]) -> TlsContexts:
        return TlsContexts(self.ca, True, Static("", self.cert, self.key), clock)

    @contextlib.contextmanager
    def client(self, server: Server, **options: Any) -> Iterator[Client]:
        credentials = Static("", self.cert, self.key)
        client = Client(ClientConfig(server.url, ca=self.ca, credentials=credentials), user_agent="x", **options)
        yield client
        client.abort()


@pytest.fixture
def files(pki: Pki, tmp_path: Path) -> Files:
    return Files(pki, tmp_path)


@pytest.fixture
def always_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotated files are noticed at the next call."""
    monkeypatch.setattr(tls, "CHECK_SECONDS", 0.0)


def warm_up(client: Client, api: Api, count: int = 3) -> None:
    """Make several idle connections."""
    api.meet = threading.Barrier(count)
    threads = [threading.Thread(target=name_of, args=(client,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    api.meet = None
    assert api.server.connections == count


def name_of(client: Client) -> str:
    return str(client.get_path("/whoami", dict)["cn"])


@pytest.mark.usefixtures("always_checked")
def test_a_rotated_certificate_is_used_and_idle_connections_of_the_old_one_are_dropped(
    api: Api, files: Files, pki: Pki
) -> None:
    with files.client(api.server) as client:
        assert [name_of(client), name_of(client)] == ["old", "old"]
        assert api.server.connections == 1
        files.rotate(pki.new)
        assert [name_of(client), name_of(client)] == ["new", "new"]
        assert api.server.connections == 2


@pytest.mark.usefixtures("always_checked")
def test_a_rotated_ca_is_used_and_idle_connections_that_the_old_one_vouched_for_are_dropped(
    api: Api, files: Files, pki: Pki
) -> None:
    with files.client(api.server) as client:
        name_of(client)
        files.ca.write_bytes(pki.other_root.cert.read_bytes())
        with pytest.raises(Transient, match="TLS failed"):
            name_of(client)
        files.ca.write_bytes(pki.root.cert.read_bytes())
        name_of(client)
        assert api.server.connections == 3


def test_rotated_files_are_noticed_within_the_time_between_two_checks(files: Files, pki: Pki) -> None:
    now = [0.0]
    contexts = files.contexts(lambda: now[0])
    first = contexts.identity()
    files.rotate(pki.new)
    now[0] = CHECK_SECONDS - 1
    assert contexts.identity() == first
    now[0] = CHECK_SECONDS
    assert contexts.identity() != first
    assert CHECK_SECONDS <= 30


def test_a_new_connection_reads_the_files_at_once(files: Files, pki: Pki) -> None:
    contexts = files.contexts(lambda: 0.0)
    before = contexts()
    assert contexts() is before
    files.rotate(pki.new)
    assert contexts() is not before


def test_a_refused_certificate_is_read_again_and_the_call_repeated_on_a_new_connection(
    api: Api, files: Files, pki: Pki
) -> None:
    with files.client(api.server) as client:
        name_of(client)
        files.rotate(pki.new)
        api.refused.add("old")
        assert name_of(client) == "new"
        assert api.seen == ["old", "old", "new"]


def test_all_idle_connections_of_a_refused_certificate_are_dropped(api: Api, files: Files, pki: Pki) -> None:
    with files.client(api.server) as client:
        warm_up(client, api)
        files.rotate(pki.new)
        api.refused.add("old")
        api.seen.clear()
        assert [name_of(client) for _ in range(6)] == ["new"] * 6
        assert api.seen.count("old") == 1


def test_a_watch_with_a_refused_certificate_is_repeated_too(api: Api, files: Files, pki: Pki) -> None:
    with files.client(api.server) as client:
        name_of(client)
        api.refused.add("old")
        files.rotate(pki.new)
        jobs = GVR("batch", "v1", "jobs")
        assert list(client.watch(jobs, None, resource_version="1", timeout_seconds=1, read_timeout=5)) == [b"{}"]


def test_a_kept_connection_with_a_certificate_is_tried_anew_once_though_the_files_are_the_same(
    api: Api, files: Files
) -> None:
    with files.client(api.server) as client:
        warm_up(client, api)
        api.refused.add("old")
        api.seen.clear()
        with pytest.raises(Unauthorized):
            name_of(client)
        assert api.seen == ["old"] * 2
        with pytest.raises(Unauthorized):
            name_of(client)
        assert api.seen == ["old"] * 3, "no idle connection is left to be tried"


def broken(pki: Pki) -> dict[str, Callable[[Files], object]]:
    """Moments while files are being replaced."""
    return {
        "the certificate is new and the key old": lambda files: files.cert.write_bytes(pki.new.cert.read_bytes()),
        "the key is new and the certificate old": lambda files: files.key.write_bytes(pki.new.key.read_bytes()),
        "the certificate is missing": lambda files: files.cert.unlink(),
        "the key is empty": lambda files: files.key.write_bytes(b""),
        "the certificate is half written": lambda files: files.cert.write_bytes(pki.new.cert.read_bytes()[:300]),
        "the CA is missing": lambda files: files.ca.unlink(),
        "the CA is empty": lambda files: files.ca.write_bytes(b""),
        "the CA is half written": lambda files: files.ca.write_bytes(pki.root.cert.read_bytes()[:300]),
    }


@pytest.mark.parametrize("moment", broken(cast("Pki", None)).keys())
def test_while_files_are_being_replaced_the_previous_ones_stay_in_use(
    api: Api, files: Files, pki: Pki, moment: str
) -> None:
    now = [0.0]
    with files.client(api.server) as client:
        contexts = client._transport._endpoint.tls
        assert contexts is not None
        contexts._clock = lambda: now[0]
        contexts.refresh()
        assert name_of(client) == "old"
        broken(pki)[moment](files)
        now[0] = CHECK_SECONDS
        client._transport._pool.forget()
        assert name_of(client) == "old", "a new connection uses the previous certificates"
        files.rotate(pki.new)
        files.ca.write_bytes(pki.root.cert.read_bytes())
        now[0] += 1.0
        assert name_of(client) == "new", "whole files are noticed a second later"


def test_files_that_never_were_valid_are_an_error(files: Files, pki: Pki) -> None:
    files.key.write_bytes(pki.new.key.read_bytes())
    contexts = files.contexts(lambda: 0.0)
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            contexts()


def test_an_encrypted_key_is_an_error_and_no_question_in_the_terminal(files: Files, pki: Pki, tmp_path: Path) -> None:
    command = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", str(pki.old.key), "-out", str(files.key)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    with pytest.raises(ssl.SSLError):
        files.contexts(lambda: 0.0)()


def test_credentials_that_fail_leave_the_previous_context_in_use(files: Files) -> None:
    class Failing:
        is_failing = False

        def authorization(self) -> str:
            return ""

        def certificate(self) -> bytes | None:
            if self.is_failing:
                raise ConfigError("no")
            return None

        def invalidate(self) -> None:
            raise AssertionError

    credentials = Failing()
    contexts = TlsContexts(files.ca, True, cast("Credentials", credentials), lambda: 0.0)
    before = contexts()
    credentials.is_failing = True
    assert contexts() is before


@pytest.mark.parametrize(
    ("bundle", "is_trusted"),
    [("root", True), ("intermediate", True), ("server_below", True), ("other_root", False), ("server", False)],
    ids=[
        "the root",
        "an intermediate alone, as Go accepts it",
        "the server's own certificate alone, as Go accepts it",
        "another root",
        "another server's certificate",
    ],
)
def test_a_bundle_with(pki: Pki, tmp_path: Path, bundle: str, is_trusted: bool) -> None:
    chain = tmp_path / "chain.crt"
    chain.write_bytes(pki.server_below.cert.read_bytes() + pki.intermediate.cert.read_bytes())

    def script(peer: Peer) -> None:
        while peer.receive() is not None:
            peer.reply(200)

    with Server(script, Certificate(chain, pki.server_below.key).server()) as server:
        client = Client(ClientConfig(server.url, ca=getattr(pki, bundle).cert), user_agent="x")
        if is_trusted:
            client.get_path("/version", dict)
        else:
            with pytest.raises(Transient, match="TLS failed"):
                client.get_path("/version", dict)
        client.abort()
