"""Makes the root file system of the base image from this machine's Debian release: Python, libraries, certificates.

It has no shell, no package manager and no compiler. Nothing of it runs while it is made, so the one for another
processor is made the same way.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from hack.image.errors import ImageError, run

PACKAGES = (
    "base-files",
    "base-passwd",
    "ca-certificates",
    "libpython3-stdlib",
    "libstdc++6",  # of the CEL library
    "netbase",
    "python3-minimal",
    "tzdata",
)
"""What apt is asked for; it adds what these depend on."""

# mmdebstrap needs them to its end: of the machine that made the base, for apt, or made by the container's runtime.
_LEFT = ("etc/apt", "etc/hostname", "etc/resolv.conf", "dev")
_HOOK = "/usr/share/mmdebstrap/hooks/merged-usr"


def release() -> str:
    """The code name of this machine's Debian release, such as bookworm. Raises ImageError if it is no Debian."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        lines = []
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    if found.get("ID") != "debian" or "VERSION_CODENAME" not in found:
        raise ImageError("a base image is made from Debian's packages only on Debian: name one with BASE=")
    return found["VERSION_CODENAME"]


def why_not() -> str:
    """Why no base image can be made here, in one line; empty if it can."""
    try:
        release()
    except ImageError as error:
        return str(error)
    if os.geteuid() != 0:
        return "a base image is made from Debian's packages only by root"
    if shutil.which("mmdebstrap") is None or not Path(_HOOK).is_dir():
        return "a base image is made from Debian's packages only with mmdebstrap: apt-get install mmdebstrap"
    return ""


def make(arch: str, target: Path, epoch: int) -> None:
    """Writes the root file system for `arch` (amd64 or arm64) to `target`, a tar file.

    `epoch` is the time of every file, in seconds: the same packages give the same bytes. Raises ImageError.
    """
    if reason := why_not():
        raise ImageError(reason)
    whole = target.with_suffix(".whole.tar")
    slim = [sys.executable, str(Path(__file__).parent / "slim.py")]
    command = [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=extract",
        f"--architectures={arch}",
        f"--include={','.join(PACKAGES)}",
        f"--hook-dir={_HOOK}",
        f'--extract-hook={shlex.join(slim)} "$1"',
        release(),
        str(whole),
    ]
    whole.unlink(missing_ok=True)
    run(command, what=f"the base image for {arch}", environ=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)})
    _without(_LEFT, whole, target)
    whole.unlink()


def _without(folders: Sequence[str], source: Path, target: Path) -> None:
    """Copies a tar file without what lies below `folders`."""
    with tarfile.open(source) as whole, tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as kept:
        for member in whole:
            path = member.name.removeprefix("./")
            if not any(path == folder or path.startswith(f"{folder}/") for folder in folders):
                member.pax_headers = {}
                kept.addfile(member, whole.extractfile(member) if member.isreg() else None)
