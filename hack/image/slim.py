"""Reduces an unpacked root file system to what the program needs: `slim.py ROOT`. Only the standard library.

mmdebstrap runs it once the packages are unpacked, while their files still lie in apt's cache. No script of a package
has run, so it also does what those scripts would: users, certificates, byte code.
"""

from __future__ import annotations

import compileall
import fnmatch
import io
import py_compile
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

UNUSED = frozenset(
    {
        "debconf",
        "dpkg",
        "libacl1",
        "libdebconfclient0",
        "libmd0",
        "libpcre2-8-0",
        "libselinux1",
        "mawk",
        "openssl",
        "readline-common",
        "tar",
    }
)
"""Packages that others want for their scripts of installation alone."""

FILES = (
    "usr/share/doc/*",
    "usr/share/man/*",
    "usr/share/info/*",
    "usr/share/locale/*",
    "usr/share/lintian/*",
    "usr/share/bug/*",
    "usr/share/python3/*",
    "usr/share/pixmaps/*",
    "usr/share/applications/*",
    "usr/lib/*/gconv/*",
    "usr/lib/*/perl*/*",
    "usr/lib/python3*/idlelib/*",
    "usr/lib/python3*/lib2to3/*",
    "usr/lib/python3*/pydoc_data/*",
    "usr/lib/python3*/tkinter/*",
    "usr/lib/python3*/turtledemo/*",
    "usr/bin/py*compile",
    "usr/bin/py*clean",
    "usr/bin/pydoc*",
    "usr/bin/pygettext*",
    "usr/sbin/update-ca-certificates",
)
"""Patterns of files that no program in the image reads; licences (usr/share/doc/*/copyright) stay."""

PASSWD = """\
root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
"""
GROUP = "root:x:0:\ntty:x:5:\nnobody:x:65534:\nnonroot:x:65532:\n"


def is_unused(path: str) -> bool:
    """Whether no program in the image reads this file; `path` starts at the root, without a slash."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in FILES) and not path.endswith("/copyright")


def _output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def record(root: Path) -> list[Path]:
    """Writes what is installed where scanners of images look for it; returns the files of packages that go."""
    status = root / "var/lib/dpkg/status.d"
    status.mkdir(parents=True, exist_ok=True)
    gone = []
    for archive in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        name = _output("dpkg-deb", "--field", str(archive), "Package").strip()
        if name not in UNUSED:
            (status / name).write_text(_output("dpkg-deb", "--field", str(archive)))
            continue
        command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
        files = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(files)) as listing:
            gone += [root / member.name.removeprefix("./") for member in listing if not member.isdir()]
    return gone


def main(root: Path) -> None:
    """Changes `root` in place."""
    for path in record(root):
        if path.is_symlink() or path.is_file():
            path.unlink()
    for path in sorted((root / "usr").rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif is_unused(path.relative_to(root).as_posix()):
            path.unlink()
    certificates = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_bytes(b"".join(certificate.read_bytes() for certificate in certificates))
    shutil.rmtree(root / "usr/share/ca-certificates")
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    (root / "home/nonroot").mkdir(parents=True, exist_ok=True)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    for library in (root / "usr/lib").glob("python3.*"):
        # Byte code of another version of Python would be dead weight.
        if library.name == f"python{sys.version_info.major}.{sys.version_info.minor}":
            unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
            at = f"/usr/lib/{library.name}"
            compileall.compile_dir(
                library, quiet=2, workers=1, invalidation_mode=unchecked, stripdir=str(library), prependdir=at
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
