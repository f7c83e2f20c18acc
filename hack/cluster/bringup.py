"""Starts the control plane with kwokctl and waits until pods can be created and scheduled."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from hack.cluster import control_plane, processes
from hack.cluster.api import Api, ApiStatusError
from hack.cluster.containers import settings
from hack.cluster.errors import ClusterError, start_failure, tail
from hack.cluster.slots import ports
from hack.cluster.state import State

READY_TIMEOUT = 120.0
"""How long, in seconds, an API server or a node may take to become ready."""
IMPATIENT = ("kube-controller-manager", "kube-scheduler")
"""They end where the API server is not healthy about ten seconds after their start, as on a busy machine. A kubelet
would start them again."""
_LOOK_SECONDS = 1.0


def create_control_plane(folder: Path, state: State, *, audit: bool, stages: str, extra_args: Sequence[str]) -> State:
    """Starts etcd and the Kubernetes components; returns `state` with the server's URL and the command lines.

    Returns when the API server is ready. Raises ClusterError as soon as a component ends.
    """
    run, logs, kubeconfig = folder / "run", folder / "logs", folder / "kubeconfig"
    home = run / "clusters" / state.name
    for log in logs.glob("*.log"):
        log.unlink()
    is_real = state.runtime == "containers"
    names = [settings.kubernetes_service(state.slot)] if is_real else []
    (run / "config.yaml").write_text(control_plane.kwok_config(state.name, ports(state.slot), stages, names))
    (run / "audit-policy.yaml").write_text(control_plane.audit_policy())
    # kwokctl writes its logs beside its other files; the link puts them into the folder that stays after the cluster.
    home.mkdir(parents=True)
    (home / "logs").symlink_to(logs)
    binaries = Path(state.binaries)
    network = settings.services(state.slot) if is_real else ""
    command = control_plane.create_arguments(
        state.name, binaries, run, kubeconfig, audit=audit, service_network=network, extra_args=extra_args
    )
    _run_kwokctl(command, folder, binaries, home / "pids")
    api = Api.from_kubeconfig(kubeconfig)
    if not processes.wait_until(api.is_ready, READY_TIMEOUT):
        raise ClusterError(f"the API server is not ready after {READY_TIMEOUT:.0f} s (logs: {logs})")
    return msgspec.structs.replace(
        state,
        server=yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"],
        components=control_plane.components_of((home / "kwok.yaml").read_text()),
    )


def wait_for_nodes(api: Api, count: int, logs: Path, revive: Callable[[str], object]) -> None:
    """Waits until `count` nodes take pods and pods can be made in the namespace default. Raises ClusterError.

    revive(component): starts it if it has ended; called for those of IMPATIENT about once a second.
    """
    looked_at = time.monotonic()

    def usable() -> bool:
        nonlocal looked_at
        if time.monotonic() - looked_at >= _LOOK_SECONDS:
            looked_at = time.monotonic()
            for component in IMPATIENT:
                revive(component)
        try:
            api.get("/api/v1/namespaces/default/serviceaccounts/default")
            nodes = api.get("/api/v1/nodes")["items"]
        except (OSError, ApiStatusError):
            return False
        return len(nodes) >= count and all(is_usable(node) for node in nodes)

    if not processes.wait_until(usable, READY_TIMEOUT, 0.05):
        raise ClusterError(f"the nodes are not Ready after {READY_TIMEOUT:.0f} s (logs: {logs})")


def is_usable(node: dict[str, Any]) -> bool:
    """Whether a Node object is Ready and has no taint that keeps pods away."""
    if node["spec"].get("taints"):
        return False
    return any(part["type"] == "Ready" and part["status"] == "True" for part in node["status"].get("conditions", []))


def _run_kwokctl(command: list[str], folder: Path, binaries: Path, pids: Path) -> None:
    log = folder / "logs" / "kwokctl.log"
    environ = processes.member_environ(folder, os.environ) | {"KWOK_WORKDIR": str(folder / "run")}
    # It takes the first kubectl on PATH, and would download one if there were none.
    environ["PATH"] = f"{binaries}{os.pathsep}{environ.get('PATH', '')}"
    # Not in the terminal's process group: Ctrl-C reaches this process alone, which then stops all of them.
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            env=environ,
            cwd=folder / "run",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        ) as process,
    ):
        try:
            while process.poll() is None:
                _check_alive(pids, folder / "logs")
                time.sleep(0.05)
        except BaseException:
            process.kill()
            raise
    _check_alive(pids, folder / "logs")
    if process.returncode != 0 or not (folder / "kubeconfig").exists():
        raise start_failure("the control plane", tail(log), str(folder / "logs"))


def _check_alive(pids: Path, logs: Path) -> None:
    """Raises ClusterError with the end of its log if a component that all others need has ended."""
    for component in ("etcd", "kube-apiserver"):
        file = pids / f"{component}.pid"
        if file.exists() and (pid := file.read_text().strip()) and not processes.is_alive(int(pid)):
            raise start_failure(component, tail(logs / f"{component}.log"), str(logs))
