"""The commands of docker, podman and buildah that build, name, save and push an image. Pure but for `find`."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Mapping
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
        self, context: Path, file: Path, image: str, arch: str, arguments: Mapping[str, str], epoch: int
    ) -> list[str]:
        """Builds `image` for `arch` from the Dockerfile `file`. Same input, same layers, where the program can."""
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        command = [self.program, *self.options, "build", f"--platform=linux/{arch}", f"--file={file}", f"--tag={image}"]
        if self.program != "docker":
            # BuildKit sets this by itself. No step of ours needs a container of its own.
            given += [f"--build-arg=BUILDPLATFORM=linux/{native()}"]
            command += ["--isolation=chroot", f"--timestamp={epoch}", "--layers=false"]
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


def find() -> Builder:
    """The first of PROGRAMS that works here: docker needs its daemon. Raises ImageError."""
    without = []
    for program in PROGRAMS:
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
        f"an image is built by docker, podman or buildah, and none works here ({'; '.join(without)}); on "
        "Debian and Ubuntu: apt-get install buildah mmdebstrap"
    )


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
