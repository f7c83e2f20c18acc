from __future__ import annotations

import io
import tarfile
from pathlib import Path

from hack.image import sbom

CONTROL = "Package: libssl3\nVersion: 3.0.22-1~deb12u2\nArchitecture: amd64\nDescription: TLS\n of OpenSSL\n"
LIBSSL = sbom.Package(
    "libssl3", "3.0.22-1~deb12u2", "pkg:deb/debian/libssl3@3.0.22-1~deb12u2?arch=amd64&distro=bookworm"
)


def test_a_python_package_has_its_package_url() -> None:
    assert sbom.python({"rich": "15.0.0"}) == [sbom.Package("rich", "15.0.0", "pkg:pypi/rich@15.0.0")]


def test_a_debian_package_has_its_package_url() -> None:
    assert sbom.debian_package(CONTROL, "bookworm") == LIBSSL


def test_a_plus_in_a_name_is_escaped() -> None:
    found = sbom.debian_package(CONTROL.replace("libssl3", "libstdc++6"), "bookworm")
    assert found.purl.startswith("pkg:deb/debian/libstdc%2B%2B6@")


def test_the_packages_of_a_base_are_read_from_its_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "rootfs.tar", "w") as archive:
        for name, data in (("./var/lib/dpkg/status.d/libssl3", CONTROL.encode()), ("./usr/bin/python3", b"")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    assert sbom.debian(tmp_path / "rootfs.tar", "bookworm") == [LIBSSL]


def test_the_document_lists_each_component_once_and_in_order() -> None:
    made = sbom.document(
        "image", "1", "1970-01-01T00:00:00Z", [LIBSSL, *sbom.python({"rich": "1", "click": "2"}), LIBSSL]
    )
    assert [each["name"] for each in made["components"]] == ["libssl3", "click", "rich"]
    assert (made["bomFormat"], made["metadata"]["component"]["version"]) == ("CycloneDX", "1")
