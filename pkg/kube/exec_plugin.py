"""Runs the credential plugin in the `exec` section of a kubeconfig user (client.authentication.k8s.io).

The plugin is a foreign program: it may hang, print anything without end, and leave children behind. So its time and its
output are bounded. (The kubernetes library runs it without any bound.)
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from pkg.kube.credentials import PLUGIN_SECONDS, ConfigError, Issued, Plugin, bearer

_MAX_OUTPUT = 1024 * 1024
_MAX_QUOTED = 500
_LOOK = 0.05
_EXTENSION = "client.authentication.k8s.io/exec"


def exec_plugin(
    spec: Mapping[str, Any], cwd: Path, cluster: Mapping[str, Any], where: str, timeout: float = PLUGIN_SECONDS
) -> Plugin:
    """Credentials from the plugin that `spec`, the `exec` section at `where`, describes; ConfigError if it is invalid.

    Relative commands start at `cwd`. `cluster` is the kubeconfig cluster, for plugins that want to know it.
    """
    command, api_version = _text(spec, "command", where), _text(spec, "apiVersion", where)
    arguments = [command, *(str(argument) for argument in _list(spec, "args", where))]
    variables = {}
    for item in _list(spec, "env", where):
        if not isinstance(item, Mapping) or not item.get("name"):
            raise ConfigError(f"{where}.env must be a list of mappings, each with a name and a value")
        variables[str(item["name"])] = str(item.get("value", ""))
    if spec.get("interactiveMode") == "Always":
        raise ConfigError(f"{where}.interactiveMode is Always, but a controller has no terminal; use another plugin")
    variables["KUBERNETES_EXEC_INFO"] = _exec_info(api_version, cluster if spec.get("provideClusterInfo") else None)
    name = f"{where}: the credential plugin {command!r}"

    def issue() -> Issued:
        try:
            code, output, errors = run_bounded(arguments, cwd, {**os.environ, **variables}, timeout)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{name} failed: {error}; run it by hand to see why") from error
        if code:
            said = " ".join(errors.decode("utf-8", "replace").split())[-_MAX_QUOTED:]
            raise ConfigError(f"{name} failed: it ended with {code}: {said or 'no message'}; run it by hand to see why")
        return read_credential(output, api_version, name)

    return Plugin(issue)


def run_bounded(arguments: list[str], cwd: Path, env: Mapping[str, str], timeout: float) -> tuple[int, bytes, bytes]:
    """Exit code, output and error output of a program; it and its children are killed when it takes too long.

    OSError if it cannot be started, takes longer than `timeout` seconds, or prints more than a megabyte.
    """
    deadline = time.monotonic() + timeout
    with subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=env,
        start_new_session=True,
    ) as process:
        try:
            output, errors = _read(process, deadline)
            code = process.wait(max(0.0, deadline - time.monotonic()))
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, TimeoutError | subprocess.TimeoutExpired):
                raise TimeoutError(f"it did not end within {timeout:g} s") from error
            raise
        return code, output, errors


def _read(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bytes]:
    """What a program prints until it ends, or closes both pipes; a child that keeps them open is not waited for."""
    assert process.stdout is not None
    assert process.stderr is not None
    found: dict[int, bytearray] = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    with selectors.DefaultSelector() as selector:
        for descriptor in found:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            has_ended = process.poll() is not None
            ready = selector.select(0 if has_ended else min(left, _LOOK))
            if has_ended and not ready:
                break
            for key, _ in ready:
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fd)
                found[key.fd] += data
                if len(found[key.fd]) > _MAX_OUTPUT:
                    raise OSError(f"it printed more than {_MAX_OUTPUT} bytes")
    output, errors = found.values()
    return bytes(output), bytes(errors)


def read_credential(output: bytes, api_version: str, name: str) -> Issued:
    """The credentials in an ExecCredential; ConfigError, which never quotes the output, if it is none."""
    try:
        document = msgspec.json.decode(output)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"{name} did not print an ExecCredential in JSON: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != "ExecCredential":
        raise ConfigError(f"{name} did not print an object of the kind ExecCredential")
    if document.get("apiVersion") != api_version:
        raise ConfigError(f"{name} printed the apiVersion {document.get('apiVersion')!r}; it must be {api_version!r}")
    status = document.get("status")
    if not isinstance(status, dict):
        raise ConfigError(f"{name} printed no status")
    token, cert, key = (_credential(status, field, name) for field in _FIELDS)
    if not token and not (cert and key):
        raise ConfigError(f"{name} returned neither status.token nor clientCertificateData with clientKeyData")
    pem = f"{cert.rstrip()}\n{key}".encode() if cert and key else None
    header = bearer(token, f"{name}: status.token") if token else ""
    return Issued(header, pem, _expiry(status.get("expirationTimestamp"), name))


_FIELDS = ("token", "clientCertificateData", "clientKeyData")


def _credential(status: Mapping[str, Any], field: str, name: str) -> str:
    value = status.get(field)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{name} returned a status.{field} that is not text")
    return value or ""


def _expiry(stamp: object, name: str) -> float | None:
    if not stamp:
        return None
    try:
        found = datetime.fromisoformat(str(stamp))
    except ValueError as error:
        raise ConfigError(f"{name} returned an expirationTimestamp that is not a time: {stamp!r}") from error
    if found.tzinfo is None:
        raise ConfigError(f"{name} returned an expirationTimestamp without a time zone: {stamp!r}")
    return found.timestamp()


def _exec_info(api_version: str, cluster: Mapping[str, Any] | None) -> str:
    """The value of KUBERNETES_EXEC_INFO."""
    spec: dict[str, Any] = {"interactive": False}
    if cluster is not None:
        spec["cluster"] = dict(cluster)
        for extension in cluster.get("extensions") or ():
            if extension.get("name") == _EXTENSION:
                spec["cluster"]["config"] = extension.get("extension")
    return msgspec.json.encode({"apiVersion": api_version, "kind": "ExecCredential", "spec": spec}).decode()


def _text(spec: Mapping[str, Any], field: str, where: str) -> str:
    value = spec.get(field)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{where}.{field} is missing; it must be text")
    return value


def _list(spec: Mapping[str, Any], field: str, where: str) -> list[Any]:
    value = spec.get(field) or []
    if not isinstance(value, list):
        raise ConfigError(f"{where}.{field} must be a list")
    return value
