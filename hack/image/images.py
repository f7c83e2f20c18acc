"""Builds the image for one or more processors, names it, and pushes it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hack.image import base, installed, version, wheels
from hack.image.builders import Builder, native
from hack.image.errors import ImageError, run
from hack.image.wheels import MACHINES, ROOT

NAME = "workflow-controller"
"""The name of the image, as the manifests in installer/ have it."""

HERE = Path(__file__).parent
WORK = ROOT / "build" / "image"


@dataclass(frozen=True, slots=True)
class Image:
    """One image that was built: its name with tag, its processor, the size of its files in bytes."""

    name: str
    arch: str
    size: int


def full_name(registry: str, tag: str) -> str:
    """The name of the image in a registry such as `registry.example/team`; without one, the name alone."""
    return f"{registry.rstrip('/')}/{NAME}:{tag}" if registry else f"localhost/{NAME}:{tag}"


def build(
    builder: Builder,
    arches: Sequence[str],
    registry: str,
    given_base: str,
    say: Callable[[str], None],
    wanted: str = "auto",
) -> list[Image]:
    """Builds one image per processor; the names of those for another than this machine's end in its name.

    `given_base` is an image with Python, or empty: then one is made from Debian's packages, if that can be done here,
    else the default of the Dockerfile is pulled. wanted: as for `wheels.build_both`. Raises ImageError.
    """
    if unknown := [arch for arch in arches if arch not in MACHINES]:
        raise ImageError(f"ARCH is {', '.join(unknown)}; it must be of {', '.join(MACHINES)}, separated by commas")
    source = version.current()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    versions = installed.in_image()
    projects = wheels.build_both(WORK, wanted, say)
    made = not given_base and not base.why_not()
    if not given_base and not made:
        say(f"{base.why_not()}; the base is the default of the Dockerfile")
    bases = {}
    for arch in {*arches, native()} if made else set():
        bases[arch] = _base(builder, arch, source, say)
    built = []
    for arch in arches:
        context = WORK / arch
        say(f"collecting {len(versions) + 1} wheels for {arch} and Python {python}")
        # Nothing is compiled for another processor than this machine's.
        project = projects[-1] if arch == native() else projects[0]
        wheels.collect(arch, project, versions, context / "wheels", python)
        for module in ("__init__.py", "image/__init__.py", "image/assemble.py", "image/contents.py"):
            (context / "hack" / module).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "hack" / module, context / "hack" / module)
        arguments = {"VERSION": source.tag, "REVISION": source.revision, "CREATED": source.created}
        arguments |= {
            "BUILD_PLATFORM": f"linux/{native()}",
            "IMAGE_PLATFORM": f"linux/{arch}",
            "MACHINE": MACHINES[arch],
        }
        if made:
            arguments |= {"BASE": bases[arch], "BUILD_BASE": bases[native()]}
        elif given_base:
            arguments["BASE"] = given_base
        name = full_name(registry, source.tag if list(arches) == [native()] else f"{source.tag}-{arch}")
        say(f"building {name} with {builder.program}")
        command = builder.build(context, ROOT / "Dockerfile", name, arch, arguments, source.epoch, has_base=made)
        run(command, what=f"building the image for {arch}")
        built.append(Image(name, arch, size(builder, name)))
    return built


def size(builder: Builder, name: str) -> int:
    """The size of an image's files in bytes. Raises ImageError."""
    output = run(builder.size(name), what=f"asking for the size of {name}")
    if builder.program != "buildah":
        return int(output)
    text = str(json.loads(output)[0]["size"])
    number, unit = text.split()
    return int(float(number) * {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}[unit.upper()])


def push(builder: Builder, images: Sequence[Image], registry: str) -> str:
    """Pushes the images, and where there are several one name for all of them; returns that name."""
    if not registry:
        raise ImageError("PUSH=1 needs the registry: REGISTRY=registry.example/team")
    for image in images:
        run(builder.push(image.name), what=f"pushing {image.name}")
    if len(images) == 1:
        return images[0].name
    name = full_name(registry, version.current().tag)
    builder.forget(name)
    for command in builder.index(name, [image.name for image in images]):
        run(command, what=f"pushing {name}")
    return name


@cache  # a release asks for the base of this machine's processor twice
def _base(builder: Builder, arch: str, source: version.Source, say: Callable[[str], None]) -> str:
    """Makes the base image for `arch` from Debian's packages; returns its name."""
    name = f"localhost/work-flow-base:{base.release()}-{arch}"
    folder = WORK / "base" / arch
    folder.mkdir(parents=True, exist_ok=True)
    say(f"making {name} from Debian's packages")
    base.make(arch, folder / "rootfs.tar", source.epoch)
    command = builder.build(folder, HERE / "base.Dockerfile", name, arch, {}, source.epoch)
    run(command, what=f"building the base image for {arch}")
    return name
