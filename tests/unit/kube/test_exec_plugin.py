"""Credential plugins as programs: what they print, and what becomes of those that misbehave."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pkg.kube.credentials import ConfigError, Issued
from pkg.kube.exec_plugin import exec_plugin, read_credential, run_bounded
from tests.unit.kube.waiting import wait_for

V1 = "client.authentication.k8s.io/v1"
WHERE = "kubeconfig: users[one].user.exec"


def credential(**status: Any) -> bytes:
    return json.dumps({"kind": "ExecCredential", "apiVersion": V1, "status": status}).encode()


CREDENTIALS: dict[str, tuple[bytes, Issued]] = {
    "a token": (credential(token="t"), Issued("Bearer t")),
    "a token with a line end": (credential(token="t\n"), Issued("Bearer t")),
    "a certificate": (
        credential(clientCertificateData="CERT\n", clientKeyData="KEY"),
        Issued("", b"CERT\nKEY"),
    ),
    "both, and when they expire": (
        credential(
            token="t",
            clientCertificateData="CERT",
            clientKeyData="KEY",
            expirationTimestamp="2026-01-01T00:00:00Z",
        ),
        Issued("Bearer t", b"CERT\nKEY", 1767225600.0),
    ),
    "an expiry in another zone": (
        credential(token="t", expirationTimestamp="2026-01-01T01:00:00+01:00"),
        Issued("Bearer t", None, 1767225600.0),
    ),
    "fields that nobody knows": (credential(token="t", more={"a": 1}), Issued("Bearer t")),
}


@pytest.mark.parametrize(("output", "expected"), CREDENTIALS.values(), ids=CREDENTIALS.keys())
def test_a_plugin_prints(output: bytes, expected: Issued) -> None:
    assert read_credential(output, V1, "the plugin") == expected


SECRET = "s3cr3t"
GARBAGE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "did not print an ExecCredential in JSON"),
    "a page": (b"<html>login</html>", "did not print an ExecCredential in JSON"),
    "bytes that are no text": (b"\xff\xfe", "did not print an ExecCredential in JSON"),
    "half a document": (credential(token=SECRET)[:-5], "did not print an ExecCredential in JSON"),
    "JSON nested too deep": (b"[" * 100_000, "did not print an ExecCredential in JSON"),
    "a list": (b"[1]", "did not print an object of the kind ExecCredential"),
    "another kind": (b'{"kind":"Status"}', "did not print an object of the kind ExecCredential"),
    "another version": (
        b'{"kind":"ExecCredential","apiVersion":"v0"}',
        f"printed the apiVersion 'v0'; it must be '{V1}'",
    ),
    "no status": (json.dumps({"kind": "ExecCredential", "apiVersion": V1}).encode(), "printed no status"),
    "an empty status": (credential(), "returned neither status.token nor"),
    "a certificate without its key": (credential(clientCertificateData="CERT"), "returned neither status.token nor"),
    "a token that is no text": (credential(token=[SECRET]), "returned a status.token that is not text"),
    "a token of two lines": (credential(token=f"{SECRET}\nX: y"), "status.token does not hold a token"),
    "an expiry that is no time": (
        credential(token=SECRET, expirationTimestamp="soon"),
        "returned an expirationTimestamp that is not a time: 'soon'",
    ),
    "an expiry without a zone": (
        credential(token=SECRET, expirationTimestamp="2026-01-01T00:00:00"),
        "returned an expirationTimestamp without a time zone",
    ),
}


@pytest.mark.parametrize(("output", "message"), GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_credential_is_named_and_never_quoted(output: bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_credential(output, V1, "the plugin")
    assert message in str(caught.value)
    assert SECRET not in str(caught.value)


def python(script: str) -> list[str]:
    return [sys.executable, "-S", "-c", script]


def plugin(script: str, folder: Path, **spec: Any) -> Any:
    command, *arguments = python(script)
    cluster = spec.pop("cluster", {})
    return exec_plugin({"apiVersion": V1, "command": command, "args": arguments, **spec}, folder, cluster, WHERE, 20.0)


def test_a_plugin_gets_its_variables_and_what_it_may_know_of_the_cluster(tmp_path: Path) -> None:
    script = f"""
import json, os, sys
info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])
token = "|".join([os.environ["A"], info["kind"], str(info["spec"]["interactive"]), info["spec"]["cluster"]["server"],
                  str(info["spec"]["cluster"]["config"]), os.path.basename(os.getcwd()), repr(sys.stdin.read())])
print(json.dumps({{"kind": "ExecCredential", "apiVersion": {V1!r}, "status": {{"token": token}}}}))
"""
    cluster = {
        "server": "https://one:6443",
        "extensions": [{"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}}],
    }
    found = plugin(script, tmp_path, env=[{"name": "A", "value": "b"}], provideClusterInfo=True, cluster=cluster)
    expected = f"Bearer b|ExecCredential|False|https://one:6443|{{'audience': 'x'}}|{tmp_path.name}|''"
    assert found.authorization() == expected


def test_a_plugin_that_fails_is_named_with_the_end_of_what_it_said(tmp_path: Path) -> None:
    found = plugin("import sys; sys.exit('x' * 5000 + ' please log in')", tmp_path)
    with pytest.raises(ConfigError) as caught:
        found.authorization()
    assert str(caught.value).startswith(f"{WHERE}: the credential plugin {sys.executable!r} failed: it ended with 1: x")
    assert "please log in; run it by hand to see why" in str(caught.value)
    assert len(str(caught.value)) < 1000


RUNAWAYS: dict[str, tuple[str, str]] = {
    "never ends": ("import time; time.sleep(600)", "did not end within 0.5 s"),
    "ignores that it is asked to end": (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
        "did not end within 0.5 s",
    ),
    "closes its output and never ends": (
        "import os, time; os.close(1); os.close(2); time.sleep(600)",
        "did not end within 0.5 s",
    ),
    "prints without end": ("while True: print('x' * 10000)", "printed more than 1048576 bytes"),
    "complains without end": (
        "import sys\nwhile True: sys.stderr.write('x' * 10000)",
        "printed more than 1048576 bytes",
    ),
}


@pytest.mark.parametrize(("script", "message"), RUNAWAYS.values(), ids=RUNAWAYS.keys())
def test_a_program_is_killed_that(tmp_path: Path, script: str, message: str) -> None:
    script = f"open('pid', 'w').write(str(__import__('os').getpid()))\n{script}"
    seconds = 0.5 if "0.5" in message else 20.0
    with pytest.raises(OSError, match=message):
        run_bounded(python(script), tmp_path, {}, seconds)
    pid = (tmp_path / "pid").read_text() if (tmp_path / "pid").exists() else ""
    assert not pid or not Path(f"/proc/{pid}").exists()


def test_the_children_of_a_program_that_is_killed_go_too(tmp_path: Path) -> None:
    script = "import os, time\nchild = os.fork()\nif child: open('child', 'w').write(str(child))\ntime.sleep(600)"
    with pytest.raises(TimeoutError):
        run_bounded(python(script), tmp_path, {}, 2.0)
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: has_ended(child))


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that nobody has waited for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_child_that_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    script = "import os, sys, time\nif os.fork() == 0: time.sleep(30); os._exit(0)\nprint('said')"
    code, output, _ = run_bounded(python(script), tmp_path, {}, 20.0)
    assert (code, output) == (0, b"said\n")


def test_a_program_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_bounded(["./no-such-plugin"], tmp_path, {}, 1.0)


def test_a_relative_command_starts_at_the_folder_of_the_kubeconfig(tmp_path: Path) -> None:
    script = tmp_path / "plugin"
    script.write_text("#!/bin/sh\necho hello")
    script.chmod(0o755)
    assert run_bounded(["./plugin"], tmp_path, {}, 20.0)[1] == b"hello\n"
