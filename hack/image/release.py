"""Makes a release: wheel, images, manifests that name the image by digest, bill of materials, checksums."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from hack.image import base, builders, images, installed, sbom, version
from hack.image.errors import ImageError, run
from hack.image.wheels import ROOT
from pkg.version import VERSION

MANIFESTS = ROOT / "installer" / "controller"
TARGET = ROOT / "dist" / "release"

Say = Callable[[str], None]


def manifests(texts: Sequence[str], image: str) -> str:
    """The documents of all files in one, with `image` in place of the image that they name. Raises ImageError."""
    whole = "---\n".join(text if text.endswith("\n") else f"{text}\n" for text in texts)
    changed, count = re.subn(rf"(?m)^(\s*(?:- )?image: ){images.NAME}:\S+$", rf"\g<1>{image}", whole)
    named = len(re.findall(r"(?m)^\s*(?:- )?image: ", whole))
    if count == 0 or count != named:
        raise ImageError(f"{count} of the {named} images in the manifests are {images.NAME}; all of them must be")
    return changed


def checksums(folder: Path) -> str:
    """A line of SHA-256 and name for each file of a folder, as `sha256sum --check` reads it."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def make(arches: Sequence[str], registry: str, given_base: str, push: bool, say: Say) -> Path:
    """Makes the release of this checkout in dist/release/; returns its folder. Raises ImageError.

    An image for another processor that cannot be built here is left out, and said. `registry` is where the manifests
    look for the image.
    """
    source = version.current()
    if not registry:
        raise ImageError("the manifests of a release name a registry: REGISTRY=registry.example/team")
    if source.tag.endswith("-dirty"):
        raise ImageError("the tree has changes that are not committed: commit them, or undo them")
    if source.tag != VERSION:
        say(f"this commit has no tag v{VERSION}; the release is named {source.tag}")
    builder = builders.find(("buildah", "podman"))
    built = _build(builder, arches, given_base, say)
    folder = TARGET / source.tag
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for wheel in images.WORK.glob("work_flow-*.whl"):
        shutil.copy(wheel, folder)
    remote = images.full_name(registry, source.tag)
    image = f"{remote}@{_archive(builder, built, folder / f'{images.NAME}-{source.tag}.oci.tar', remote, push)}"
    files = sorted(MANIFESTS.glob("*.yaml"))
    (folder / "install.yaml").write_text(manifests([file.read_text() for file in files], image))
    (folder / "images.txt").write_text(f"{image}\n")
    for each in built:
        document = _materials(each, source, given_base)
        (folder / f"sbom-{each.arch}.cdx.json").write_text(json.dumps(document, indent=2) + "\n")
    (folder / "SHA256SUMS").write_text(checksums(folder))
    say(f"{image}{' is pushed' if push else ' is not pushed yet; docs/release.md says how'}")
    return folder


def _build(builder: builders.Builder, arches: Sequence[str], given_base: str, say: Say) -> list[images.Image]:
    built = []
    for arch in arches:
        try:
            built += images.build(builder, [arch], "", given_base, say)
        except ImageError as error:
            if arch == builders.native():
                raise
            say(f"left out: linux/{arch}, which cannot be built here: {error}")
            continue
        started = (
            "its commands were started" if arch == builders.native() else "not started, since this is no such machine"
        )
        say(f"built: linux/{arch}, {built[-1].size / 1e6:.0f} MB; {started}")
    return built


def _archive(builder: builders.Builder, built: Sequence[images.Image], target: Path, remote: str, push: bool) -> str:
    """Writes one OCI archive for all processors, named `remote`, and pushes it if asked; returns its digest."""
    index = f"localhost/{images.NAME}-release:{version.current().tag}"
    digest = target.with_suffix(".digest")
    builder.forget(index)
    for command in builder.archive(index, [image.name for image in built], target, remote, digest):
        run(command, what="writing the images of all processors to one archive")
    found = digest.read_text().strip()
    if push:
        digest.write_text("")
        run(builder.push_index(index, remote, digest), what=f"pushing {remote}")
        pushed = digest.read_text().strip()
        # Some versions of buildah exit with 0 when the registry cannot be reached by HTTPS.
        if not pushed:
            raise ImageError(
                f"{remote} was not pushed, and {builder.program} does not say why: is the registry reachable?"
            )
        if pushed != found:
            raise ImageError(
                f"{remote} has the digest {pushed} in the registry, but {found} in the archive: push the archive"
            )
    digest.unlink()
    builder.forget(index)
    return found


def _materials(image: images.Image, source: version.Source, given_base: str) -> dict[str, object]:
    packages = sbom.python(installed.in_image() | {installed.PROJECT: VERSION})
    rootfs = images.WORK / "base" / image.arch / "rootfs.tar"
    if not given_base and not base.why_not():
        packages += sbom.debian(rootfs, base.release())
    return sbom.document(images.NAME, source.tag, source.created, packages)
