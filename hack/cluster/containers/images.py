"""Makes the two images that the node needs, without a registry: busybox, and the pause image of every pod."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

from hack.cluster.containers.packages import BUSYBOX

_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUP = b"root:x:0:\nnogroup:x:65534:\n"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def busybox_applets() -> list[str]:
    """The commands that this machine's busybox knows."""
    return subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()


def write_archive(target: Path, program: bytes, applets: Sequence[str], images: dict[str, Sequence[str]]) -> None:
    """Writes a docker-archive with one layer: `program` as /bin/busybox, its `applets` as links.

    `images` maps each image's name to its default command. The result is the same for the same input.
    """
    layer = _layer(program, applets)
    digest = hashlib.sha256(layer).hexdigest()
    manifest = []
    with tarfile.open(target, "w") as archive:
        _add(archive, f"{digest}/layer.tar", layer)
        for name, command in images.items():
            config = json.dumps(
                {
                    "architecture": _MACHINES.get(platform.machine(), platform.machine()),
                    "os": "linux",
                    "created": "1970-01-01T00:00:00Z",
                    "config": {"Cmd": list(command), "Env": ["PATH=/bin:/sbin:/usr/bin:/usr/sbin"]},
                    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
                    "history": [{"created": "1970-01-01T00:00:00Z", "created_by": f"local image {name}"}],
                },
                sort_keys=True,
            ).encode()
            config_name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(archive, config_name, config)
            manifest.append({"Config": config_name, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]})
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _layer(program: bytes, applets: Sequence[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for folder, mode in (
            ("bin", 0o755),
            ("etc", 0o755),
            ("root", 0o700),
            ("tmp", 0o1777),
            ("var", 0o755),
            ("www", 0o755),
        ):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            layer.addfile(entry)
        _add(layer, "bin/busybox", program, 0o755)
        for applet in sorted({*applets, "sh"} - {"busybox"}):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname, link.mode = tarfile.LNKTYPE, "bin/busybox", 0o755
            layer.addfile(link)
        _add(layer, "etc/passwd", _PASSWD)
        _add(layer, "etc/group", _GROUP)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))
