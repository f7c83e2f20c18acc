"""The bill of materials of an image, in CycloneDX's JSON: its Python and its Debian packages. Pure but for `debian`."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from typing import Any
from urllib.parse import quote

_STATUS = "./var/lib/dpkg/status.d/"


@dataclass(frozen=True, slots=True)
class Package:
    """One component; `purl` is its package URL, by which databases of vulnerabilities know it."""

    name: str
    version: str
    purl: str


def python(versions: Mapping[str, str]) -> list[Package]:
    """The components for distributions of PyPI and their versions."""
    return [Package(name, found, f"pkg:pypi/{name}@{quote(found)}") for name, found in versions.items()]


def debian_package(control: str, release: str) -> Package:
    """The component for a package of Debian, from its control file."""
    fields = Parser().parsestr(control)
    name, found, arch = fields["Package"], fields["Version"], fields["Architecture"]
    purl = f"pkg:deb/debian/{quote(name)}@{quote(found)}?arch={arch}&distro={release}"
    return Package(name, found, purl)


def debian(rootfs: Path, release: str) -> list[Package]:
    """The components of a base image that base.py made, from its tar file."""
    with tarfile.open(rootfs) as archive:
        files = [archive.extractfile(member) for member in archive if member.name.startswith(_STATUS)]
        return [debian_package(file.read().decode(), release) for file in files if file is not None]


def document(name: str, version: str, created: str, packages: Iterable[Package]) -> dict[str, Any]:
    """The document for the image `name`; `created` is in the form of RFC 3339."""
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": created,
            "component": {"type": "container", "bom-ref": name, "name": name, "version": version},
        },
        "components": [
            {"type": "library", "bom-ref": each.purl, "name": each.name, "version": each.version, "purl": each.purl}
            for each in sorted(set(packages), key=lambda each: each.purl)
        ],
    }
