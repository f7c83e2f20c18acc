"""Starts and stops the one real node of a cluster: its bridge and its namespaces, and their removal."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hack.cluster import processes
from hack.cluster.containers import images, settings
from hack.cluster.containers.packages import BUSYBOX
from hack.cluster.containers.settings import PRIVATE, NodePlan, Orders
from hack.cluster.errors import ClusterError, last_lines
from hack.cluster.slots import ports

SUPERVISOR = "node-supervisor"
FORWARDER = "kubernetes-service"


def start(folder: Path, slot: int, kubelet: Path, kubeconfig: Path, logs: Path) -> dict[str, list[str]]:
    """Starts the node of the cluster in `folder`; returns its components' command lines.

    The node is Ready some seconds later. Raises ClusterError; `stop` also cleans up after a failed start.
    """
    plan = NodePlan(folder / "run" / "node", slot, kubelet, kubeconfig, 0)
    for name in ("", "cni", "sysctls"):
        (plan.folder / name).mkdir(exist_ok=True)
    (plan.folder / "made").write_text("\n".join(_make_mount_points()))
    _make_bridge(plan)
    plan = _with_free_port(plan)
    forwarder = _forward_api_server(plan, folder, logs)
    (plan.folder / "containerd.toml").write_text(settings.containerd_config(plan))
    (plan.folder / "cni" / "10-bridge.conflist").write_text(settings.cni_config(plan))
    (plan.folder / "kubelet.yaml").write_text(settings.kubelet_config(plan))
    (plan.folder / "resolv.conf").write_text("")
    archive = plan.folder / "images.tar"
    images.write_archive(
        archive,
        Path(BUSYBOX).read_bytes(),
        images.busybox_applets(),
        {settings.BUSYBOX_IMAGE: ["sh"], settings.PAUSE_IMAGE: ["/bin/sleep", "2147483647"]},
    )
    orders = Orders(
        containerd=settings.containerd_command(plan),
        kubelet=settings.kubelet_command(plan),
        archive=str(archive),
        logs=str(logs),
        scratch=str(plan.folder / "sysctls"),
    )
    (plan.folder / "orders.json").write_bytes(msgspec.json.encode(orders))
    inner = [sys.executable, "-m", "hack.cluster.containers.supervisor", str(plan.folder / "orders.json")]
    outer = ["/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *inner]
    processes.spawn(outer, folder, logs / f"{SUPERVISOR}.log", processes.python_path())
    return {SUPERVISOR: inner, FORWARDER: forwarder, "containerd": orders.containerd, "kubelet": orders.kubelet}


def stop(folder: Path, slot: int) -> None:
    """Ends the node's processes and removes its bridge, cgroups and mount points. Fine to call at any time."""
    plan = NodePlan(folder / "run" / "node", slot, Path(), Path(), 0)
    processes.end_members(folder)
    _ip("link", "delete", plan.bridge, check=False)
    _forwarding("--delete", plan)
    # A cgroup can be removed once its last process is gone, which takes the kernel a moment.
    processes.wait_until(lambda: not _remove_cgroups(_containers(plan)), timeout=10)
    made = plan.folder / "made"
    for path in made.read_text().split() if made.exists() else []:
        if not is_mount_point(path):
            with contextlib.suppress(OSError):  # not empty: another program uses it
                os.rmdir(path)


def is_mount_point(path: str, proc: Path = Path("/proc")) -> bool:
    """Whether something is mounted at `path` for any process, as by the node of another cluster.

    Such a folder looks empty from outside, and its removal would take the mount away from those processes.
    """
    for entry in proc.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # the process has ended
                # MOUNT-ID PARENT-ID DEVICE ROOT MOUNT-POINT ...
                if any(line.split()[4] == path for line in (entry / "mountinfo").read_text().splitlines()):
                    return True
    return False


def enter(supervisor: int, command: list[str]) -> list[str]:
    """The command line that runs `command` inside the namespaces whose first process is `supervisor`."""
    return ["/usr/bin/nsenter", f"--target={supervisor}", "--mount", "--pid", "--", *command]


def load_image(supervisor: int, archive: Path, names: Sequence[str]) -> None:
    """Gives the node the image in a docker-archive, under its own name and each of `names`. Raises ClusterError."""
    imported = _ctr(supervisor, "import", "--snapshotter=native", str(archive))
    # `unpacking NAME (sha256:...)...done`
    found = [line.split()[1] for line in imported.splitlines() if line.startswith("unpacking ")]
    if len(found) != 1:
        raise ClusterError(f"{archive} holds {len(found)} images ({', '.join(found)}): it must be one")
    for name in names:
        _ctr(supervisor, "tag", "--force", found[0], name)


def _ctr(supervisor: int, *arguments: str) -> str:
    command = ["/usr/bin/ctr", "--address", settings.SOCKET, "--namespace", "k8s.io", "images", *arguments]
    result = subprocess.run(enter(supervisor, command), capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ClusterError(f"`ctr images {' '.join(arguments)}` failed: {last_lines(result.stderr)}")
    return result.stdout


def _forward_api_server(plan: NodePlan, folder: Path, logs: Path) -> list[str]:
    """Gives the bridge the address of the Service `kubernetes`, and passes it on to the API server."""
    service = settings.kubernetes_service(plan.slot)
    _ip("address", "add", f"{service}/32", "dev", plan.bridge)
    to = f"127.0.0.1:{ports(plan.slot)[0]}"
    command = [sys.executable, "-m", "hack.cluster.containers.forwarder", f"{service}:443", to]
    processes.spawn(command, folder, logs / f"{FORWARDER}.log", processes.python_path())
    return command


def _with_free_port(plan: NodePlan) -> NodePlan:
    """`plan` with a port that is free on the bridge's address."""
    port = processes.free_port(plan.gateway)
    return NodePlan(plan.folder, plan.slot, plan.kubelet, plan.kubeconfig, port)


def _make_mount_points() -> list[str]:
    """Makes the folders that the supervisor mounts over; returns those that were not there."""
    made = [path for path in PRIVATE if not os.path.isdir(path)]
    for path in made:
        Path(path).mkdir(parents=True)
    return made


def _make_bridge(plan: NodePlan) -> None:
    _ip("link", "delete", plan.bridge, check=False)
    _ip("link", "add", plan.bridge, "type", "bridge")
    _ip("address", "add", f"{plan.gateway}/24", "dev", plan.bridge)
    _ip("link", "set", plan.bridge, "up")
    _forwarding("--insert", plan)


def _ip(*arguments: str, check: bool = True) -> None:
    result = subprocess.run(["/sbin/ip", *arguments], capture_output=True, text=True, check=False)
    if check and result.returncode != 0:
        raise ClusterError(
            f"`ip {' '.join(arguments)}` failed: {last_lines(result.stderr)}; real containers need a machine on which "
            "root may make network interfaces"
        )


def _forwarding(action: str, plan: NodePlan) -> None:
    """Lets pods reach each other on a machine whose firewall drops forwarded packets, as Docker's does."""
    with contextlib.suppress(FileNotFoundError):
        rules = subprocess.run(["iptables", "-S", "FORWARD"], capture_output=True, text=True, check=False).stdout
        if "-P FORWARD DROP" in rules:
            rule = ["FORWARD", "-i", plan.bridge, "-o", plan.bridge, "-j", "ACCEPT"]
            subprocess.run(["iptables", action, *rule], capture_output=True, check=False)


def _containers(plan: NodePlan) -> list[str]:
    tasks = plan.folder / "containerd" / "io.containerd.runtime.v2.task" / "k8s.io"
    return [entry.name for entry in tasks.iterdir()] if tasks.is_dir() else []


def _remove_cgroups(containers: list[str]) -> bool:
    """Removes the containers' cgroups, and their parent if it is empty. True if a cgroup of this cluster is left."""
    root = Path("/sys/fs/cgroup")
    left = False
    for parent in (root / "k8s.io", *root.glob("*/k8s.io")):
        for group in (parent / container for container in containers):
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            left = left or group.is_dir()
        with contextlib.suppress(OSError):  # stays while another cluster's containers are in it
            parent.rmdir()
    return left
