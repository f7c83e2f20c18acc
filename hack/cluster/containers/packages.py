"""The Debian or Ubuntu packages that real containers need: finds the missing ones and installs them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from hack.cluster.errors import ClusterError, last_lines

NEEDED = {
    "containerd": ("/usr/bin/containerd", "/usr/bin/ctr", "/usr/bin/containerd-shim-runc-v2"),
    "crun": ("/usr/bin/crun",),
    "containernetworking-plugins": ("/usr/lib/cni/bridge", "/usr/lib/cni/host-local", "/usr/lib/cni/loopback"),
    "busybox-static": ("/bin/busybox",),
    "iproute2": ("/sbin/ip",),
    "util-linux": ("/usr/bin/unshare", "/usr/bin/nsenter"),
}
"""Package name -> files that show that it is installed."""

CNI_PLUGINS = "/usr/lib/cni"
BUSYBOX = "/bin/busybox"


def missing(exists: Callable[[str], bool] = os.path.exists) -> list[str]:
    """Names of the packages that are not installed, in the order of NEEDED."""
    lacking = [name for name, files in NEEDED.items() if not all(exists(file) for file in files)]
    # The package busybox has the same file, but linked against libraries that an image would lack.
    if "busybox-static" not in lacking and exists(BUSYBOX) and not _is_static(Path(BUSYBOX)):
        lacking.append("busybox-static")
    return lacking


def install_command(names: Sequence[str]) -> str:
    """The command that installs these packages, for a person to paste."""
    return f"apt-get update && apt-get install --yes --no-install-recommends {' '.join(names)}"


def why_not(uid: int, lacking: Sequence[str]) -> str:
    """The reason why real containers cannot run here, in one line; empty if they can."""
    if uid != 0:
        return "the containers runtime needs root (it mounts, makes networks and cgroups): use --runtime kwok"
    if lacking:
        return f"the containers runtime needs the packages {', '.join(lacking)}: {install_command(lacking)}"
    return ""


def unavailable() -> str:
    """`why_not` for this process on this machine: a test's reason to skip."""
    return why_not(os.geteuid(), missing())


def check() -> None:
    """Raises ClusterError if real containers can't run here."""
    if reason := unavailable():
        raise ClusterError(reason)


def install() -> None:
    """Installs what is missing with apt-get. Raises ClusterError."""
    if os.geteuid() != 0:
        raise ClusterError(f"installing packages needs root: run as root: {install_command(missing() or list(NEEDED))}")
    lacking = missing()
    if not lacking:
        return
    if shutil.which("apt-get") is None:
        raise ClusterError(f"no apt-get here: install what provides {', '.join(lacking)} by hand")
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "--quiet"],
        ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *lacking],
    ):
        result = subprocess.run(
            command, env=environ, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if result.returncode != 0:
            raise ClusterError(f"`{' '.join(command)}` failed: {last_lines(result.stderr or result.stdout)}")
    if still := missing():
        raise ClusterError(f"apt-get did not bring {', '.join(still)}: install them by hand")


def _is_static(program: Path) -> bool:
    """Whether an ELF file names no dynamic loader."""
    return b"/ld-linux" not in program.read_bytes()[:8192]
