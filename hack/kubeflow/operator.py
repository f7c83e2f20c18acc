"""Runs the training operator as a process against a local cluster.

It needs its CRDs, the Secret for its webhook's certificate and its ValidatingWebhookConfiguration before it starts. It
writes a certificate into the Secret and waits until the files appear in a folder, where a kubelet would mount them. Its
webhook is registered for no resource: the API server could not reach it by the name in its certificate.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from hack.cluster.api import Api, ApiStatusError
from hack.cluster.errors import ClusterError, start_failure, tail
from hack.cluster.processes import free_port
from hack.kubeflow import binary

NAMESPACE: Final = "kubeflow"
SECRET: Final = "training-operator-webhook-cert"
CERTIFICATES: Final = Path("/tmp/k8s-webhook-server/serving-certs")
KINDS: Final = ("pytorchjob", "tfjob", "mpijob", "paddlejob", "xgboostjob")
_START_SECONDS: Final = 60.0
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TrainingOperator:
    """The operator runs within the `with` block. Raises ClusterError if it does not start."""

    def __init__(self, kubeconfig: Path, log: Path) -> None:
        self.log = log
        self._kubeconfig = kubeconfig
        self._api = Api.from_kubeconfig(kubeconfig)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        target = binary.ensure()
        for file in binary.definitions(target):
            self._create(
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                json.loads(json.dumps(yaml.load(file.read_text("utf-8"), Loader=_Loader), default=str)),
            )
        self._create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        self._create(f"/api/v1/namespaces/{NAMESPACE}/secrets", {"metadata": {"name": SECRET}})
        self._create(
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
            {"metadata": {"name": "validator.training-operator.kubeflow.org"}, "webhooks": []},
        )
        try:
            self._start(target / binary.NAME)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def _start(self, program: Path) -> None:
        health = free_port()
        arguments = [
            str(program),
            "--metrics-bind-address=0",
            f"--health-probe-bind-address=127.0.0.1:{health}",
            f"--webhook-server-port={free_port()}",
            "--controller-threads=2",
        ]
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "KUBECONFIG": str(self._kubeconfig), "MY_POD_NAMESPACE": NAMESPACE},
            )
        deadline = time.monotonic() + _START_SECONDS
        is_mounted = False
        while not self._works():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise start_failure("the training operator", tail(self.log), str(self.log.parent))
            is_mounted = is_mounted or self._mount()
            time.sleep(0.1)

    def _works(self) -> bool:
        """Whether the controller of every kind has started its workers; the certificate controller starts first."""
        started = [line for line in self.log.read_text(errors="replace").splitlines() if "Starting workers" in line]
        return all(any(f"{kind}-controller" in line for line in started) for kind in KINDS)

    def _mount(self) -> bool:
        """Writes the operator's certificate to the folder where it looks for it; False while it has made none."""
        data = self._api.get(f"/api/v1/namespaces/{NAMESPACE}/secrets/{SECRET}").get("data") or {}
        if not {"tls.crt", "tls.key"} <= data.keys():
            return False
        CERTIFICATES.mkdir(parents=True, exist_ok=True)
        for name in ("ca.crt", "tls.key", "tls.crt"):
            file = CERTIFICATES / name
            file.touch(mode=0o600)
            file.write_bytes(base64.b64decode(data.get(name, "")))
        return True

    def _create(self, path: str, document: dict[str, Any]) -> None:
        try:
            self._api.request("POST", path, document)
        except ApiStatusError as error:
            if error.code != 409:
                raise ClusterError(f"{path}: {error}") from error
