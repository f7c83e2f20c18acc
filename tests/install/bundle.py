"""Makes a bundle for a container runtime such as runc from a docker-archive: the image's files and a configuration."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def make(archive: Path, bundle: Path, command: Sequence[str], kubeconfig: Path) -> None:
    """Unpacks the one image in `archive` into the new folder `bundle`, to run `command` in it.

    The container is as strict as the Deployments are: the user of the image, no capabilities, a read-only root, /tmp in
    memory. It has the network of this machine, so that it reaches a local cluster; `kubeconfig` is its only other file.
    """
    root = bundle / "rootfs"
    root.mkdir(parents=True)
    config = _unpack(archive, root)
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
    file = bundle / "config.json"
    spec: dict[str, Any] = json.loads(file.read_text())
    user, _, group = config["User"].partition(":")
    spec["process"] |= {
        "terminal": False,
        "user": {"uid": int(user), "gid": int(group)},
        "args": [*command, "--kubeconfig=/kubeconfig"],
        "env": config["Env"],
        "cwd": config.get("WorkingDir") or "/",
        "capabilities": {kind: [] for kind in spec["process"]["capabilities"]},
        "noNewPrivileges": True,
    }
    spec["root"] = {"path": "rootfs", "readonly": True}
    spec["linux"]["namespaces"] = [each for each in spec["linux"]["namespaces"] if each["type"] != "network"]
    spec["mounts"] += [
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]},
        {"destination": "/kubeconfig", "type": "bind", "source": str(kubeconfig), "options": ["bind", "ro"]},
    ]
    # runc would have to make this file in a root that it may not write.
    (root / "kubeconfig").touch()
    file.write_text(json.dumps(spec))


def _unpack(archive: Path, root: Path) -> dict[str, Any]:
    """Unpacks all layers in their order; returns the part of the image's configuration that says how it is run."""
    with tarfile.open(archive) as whole:

        def read(name: str) -> Any:
            stream = whole.extractfile(name)
            assert stream is not None
            return json.load(stream)

        (manifest,) = read("manifest.json")
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=whole.extractfile(name)) as layer:
                members = layer.getmembers()
                removed = [member.name for member in members if Path(member.name).name.startswith(".wh.")]
                assert removed == [], "a layer removes files, which is not done here"
                layer.extractall(root, members, filter="fully_trusted")
        found: dict[str, Any] = read(manifest["Config"])["config"]
    return found
