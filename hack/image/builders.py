"""The commands of docker, podman and buildah that build, name, save and push an image. Pure but for `find`."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hack.image.errors import ImageError

PROGRAMS = ("docker", "podman", "buildah")


@dataclass(frozen=True, slots=True)
class Builder:
    """One of PROGRAMS, as it is called here; `options` come before its command."""

    program: str
    options: tuple[str, ...] = ()

    def build(
        self,
        context: Path,
        file: Path,
        image: str,
        arch: str,
        arguments: Mapping[str, str],
        epoch: int,
        *,
        has_base: bool = False,
    ) -> list[str]:
        """Builds `image` for `arch` from the Dockerfile `file`. Same input, same layers, where the program can.

        `has_base` says that the base is here under its name, and in no registry.
        """
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        command = [self.program, *self.options, "build", f"--platform=linux/{arch}", f"--file={file}", f"--tag={image}"]
        if self.program != "docker":
            # No step of ours needs a container of its own.
            command += ["--isolation=chroot", f"--timestamp={epoch}", "--layers=false"]
            # Without this, a base for another processor is looked for in a registry although it is here.
            command += ["--pull=never"] if has_base else []
        return [*command, *given, str(context)]

    def tag(self, image: str, name: str) -> list[str]:
        """Gives an image one more name."""
        return [self.program, *self.options, "tag", image, name]

    def size(self, image: str) -> list[str]:
        """Prints the size of an image's files in bytes, as the last word of the output."""
        if self.program == "buildah":
            return [self.program, *self.options, "images", "--json", image]
        return [self.program, *self.options, "image", "inspect", "--format={{.Size}}", image]

    def save(self, image: str, target: Path) -> list[str]:
        """Writes an image as a docker-archive, which containerd, docker, podman and kind load."""
        if self.program == "buildah":
            return [self.program, *self.options, "push", "--quiet", image, f"docker-archive:{target}:{image}"]
        return [self.program, *self.options, "save", f"--output={target}", image]

    def push(self, image: str) -> list[str]:
        """Pushes an image to the registry in its name."""
        return [self.program, *self.options, "push", image]

    def archive(self, name: str, images: Sequence[str], target: Path, remote: str, digest: Path) -> list[list[str]]:
        """Makes `name` an index of local images, and writes it with them to the OCI archive `target`.

        Programs that load the archive call it `remote`. The file `digest` gets the digest of the index. Docker cannot
        do this: it keeps no index without a registry.
        """
        call = [self.program, *self.options, "manifest"]
        add = [[*call, "add", name, f"containers-storage:{image}"] for image in images]
        push = [*call, "push", "--all", f"--digestfile={digest}", name, f"oci-archive:{target}:{remote}"]
        return [[*call, "create", name], *add, push]

    def push_index(self, name: str, remote: str, digest: Path) -> list[str]:
        """Pushes the index `name` and its images as `remote`; the file `digest` gets the digest that it has there."""
        call = [self.program, *self.options, "manifest", "push", "--all", f"--digestfile={digest}"]
        return [*call, name, f"docker://{remote}"]

    def forget(self, name: str) -> None:
        """Removes the index `name` if there is one; its images stay."""
        subprocess.run([self.program, *self.options, "manifest", "rm", name], capture_output=True, check=False)

    def index(self, name: str, images: list[str]) -> list[list[str]]:
        """Makes one name for the images of several processors, all pushed before, and pushes it."""
        call = [self.program, *self.options, "manifest"]
        if self.program == "docker":
            return [[*call, "create", "--amend", name, *images], [*call, "push", "--purge", name]]
        add = [[*call, "add", name, f"docker://{image}"] for image in images]
        return [[*call, "create", name], *add, [*call, "push", "--all", name, f"docker://{name}"]]


def native() -> str:
    """The processor of this machine, as images name it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def find(programs: Sequence[str] = PROGRAMS) -> Builder:
    """The first of `programs` that works here: docker needs its daemon. Raises ImageError."""
    without = []
    for program in programs:
        if shutil.which(program) is None:
            without.append(f"{program} is not installed")
        elif _works([program, "info"]):
            return Builder(program)
        # The default storage of buildah and podman does not work within some containers; this one works everywhere.
        elif program != "docker" and _works([program, "--storage-driver=vfs", "info"]):
            return Builder(program, ("--storage-driver=vfs",))
        else:
            without.append(f"`{program} info` fails")
    raise ImageError(
        f"this needs {' or '.join(programs)}, and none works here ({'; '.join(without)}); on "
        "Debian and Ubuntu: apt-get install buildah mmdebstrap"
    )


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
