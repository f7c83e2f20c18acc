"""What every benchmark needs: a cluster of its own, the controller as a process, and readings of both."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hack.cluster import Cluster, exit_on_sigterm
from hack.cluster.api import Api, ApiStatusError
from pkg.apis.meta import seconds

ROOT = Path(__file__).resolve().parents[2]
AGENT = "workflow-controller/"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Controller:
    """The running controller and where its log goes."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> float:
        """Ends it; the seconds from SIGTERM on."""
        began = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        return time.perf_counter() - began

    def cpu_seconds(self) -> float:
        """CPU time used so far, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def peak_mib(self) -> float:
        """Peak resident memory in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


@contextlib.contextmanager
def cluster_with_crds(*, audit: bool = True) -> Iterator[Cluster]:
    """A fresh control plane with our CRDs, gone at the end."""
    with (
        exit_on_sigterm(),
        tempfile.TemporaryDirectory(prefix="workflow-bench-") as folder,
        Cluster.start(Path(folder), audit=audit) as cluster,
    ):
        for file in sorted((ROOT / "installer" / "crds").glob("*.yaml")):
            install_crd(cluster.api(), yaml.safe_load(file.read_text()))
        yield cluster


def install_crd(api: Api, document: dict[str, Any]) -> None:
    """A custom resource, made and served; SystemExit if it is not after 20 s."""
    api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", document)
    spec = document["spec"]
    path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}?limit=1"
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(ApiStatusError):
            if api.get(path)["metadata"].get("resourceVersion"):
                return
        if time.monotonic() > deadline:
            raise SystemExit(f"{document['metadata']['name']} is not served after 20 s")
        time.sleep(0.05)


@contextlib.contextmanager
def controller(cluster: Cluster, folder: Path, *flags: str) -> Iterator[Controller]:
    """workflow-controller against the cluster, ended by SIGTERM."""
    log = folder / "controller.log"
    command = [
        str(Path(sys.executable).with_name("workflow-controller")),
        "--workers=8",
        f"--kubeconfig={cluster.kubeconfig}",
        "--metrics-bind-address=0",
        "--health-bind-address=0",
        "--leader-elect=false",
        *flags,
    ]
    with log.open("wb") as out:
        made = Controller(subprocess.Popen(command, stdout=out, stderr=out), log)
    try:
        _wait_for_text(log, '"acting"', made.process)
        yield made
    finally:
        made.stop()


def _wait_for_text(log: Path, text: str, process: subprocess.Popen[bytes], timeout: float = 30.0) -> None:
    end = time.monotonic() + timeout
    while text not in log.read_text():
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"the controller did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.05)


def api_calls(audit_log: Path, *, since: float = 0.0) -> Counter[tuple[str, str]]:
    """Calls of the controller by (verb, resource[/subresource]), from the audit log; Leases, watches and Events
    apart.
    """
    found: Counter[tuple[str, str]] = Counter()
    for line in audit_log.read_text().splitlines():
        entry = json.loads(line)
        reference = entry.get("objectRef", {})
        resource = "/".join(filter(None, (reference.get("resource", "-"), reference.get("subresource"))))
        agent = entry.get("userAgent", "")
        if entry.get("stage") != "ResponseComplete" or not agent.startswith(AGENT):
            continue
        if entry["verb"] == "watch" or resource in ("leases", "events", "-"):
            continue
        if seconds(entry["requestReceivedTimestamp"]) >= since:
            found[entry["verb"], resource] += 1
    return found
