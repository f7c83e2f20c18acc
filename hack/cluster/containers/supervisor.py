"""The first process of the node's namespaces: sets up mounts, runs containerd and the kubelet, reaps orphans.

It is started by `unshare --mount --pid`: when it is killed the kernel ends every process below it (shims and
containers too) and drops every mount they made. What the node would write to the machine (sysctls, /run,
/var/lib/kubelet) goes to private mounts instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hack.cluster.containers.settings import PRIVATE, SOCKET, Orders

_SYSCTLS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""What a kubelet sets on its machine; it gets copies to write to."""


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def set_up_mounts(scratch: Path) -> None:
    """Makes the private mounts of this mount namespace; `scratch` is a folder for the copies of sysctls."""
    for folder in PRIVATE:
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    # On a machine with both versions of cgroups crun would refuse to start.
    if os.path.ismount("/sys/fs/cgroup/unified"):
        _run("umount", "/sys/fs/cgroup/unified")
    for name in _SYSCTLS:
        real = Path("/proc/sys", name)
        if real.exists():
            copy = scratch / name.replace("/", "-")
            copy.write_text(real.read_text())
            _run("mount", "--bind", str(copy), str(real))


def _start(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)


def _import_images(archive: str, log: Path) -> None:
    with log.open("ab") as output:
        command = [
            "/usr/bin/ctr",
            "--address",
            SOCKET,
            "--namespace",
            "k8s.io",
            "images",
            "import",
            "--snapshotter=native",
            archive,
        ]
        for _ in range(100):
            if Path(SOCKET).exists() and subprocess.call(command, stdout=output, stderr=output) == 0:
                return
            time.sleep(0.1)
    raise SystemExit(f"containerd did not take the images: see {log}")


def main(orders_file: str) -> None:
    """Never returns: it is process 1."""
    orders = msgspec.json.decode(Path(orders_file).read_bytes(), type=Orders)
    logs = Path(orders.logs)
    set_up_mounts(Path(orders.scratch))
    _start(orders.containerd, logs / "containerd.log")
    _import_images(orders.archive, logs / "containerd.log")
    _start(orders.kubelet, logs / "kubelet.log")
    while True:
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1])
