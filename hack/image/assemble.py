"""Makes the folder of the image that holds the program: `python3 -m hack.image.assemble WHEELS FOLDER`.

It runs in the first stage of the Dockerfile and in tests, with the standard library alone; pip is one of the wheels. No
code of the wheels runs, so wheels for another processor are installed as well: MACHINE in the environment names it, as
x86_64 or aarch64.
"""

from __future__ import annotations

import compileall
import os
import platform
import py_compile
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from hack.image.contents import is_left_out

OLDEST_GLIBC, NEWEST_GLIBC = 17, 36
"""Wheels of manylinux_2_17 up to that of Debian 12 are taken: newer ones would not run on it."""


def pip_platforms(machine: str) -> list[str]:
    """The platform tags of wheels that run in the image, the newest first."""
    newest_first = range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)
    return [*(f"manylinux_2_{minor}_{machine}" for minor in newest_first), f"manylinux2014_{machine}"]


def pip_target(machine: str, python: str = f"{sys.version_info.major}.{sys.version_info.minor}") -> list[str]:
    """The flags of pip that choose wheels for `machine`, whatever machine this is."""
    platforms = [f"--platform={each}" for each in pip_platforms(machine)]
    return ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *platforms]


def assemble(wheels: Path, folder: Path, machine: str) -> None:
    """Installs all wheels in `wheels` but pip's into the new virtual environment `folder`, without unused files."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (pip,) = wheels.glob("pip-*.whl")
    chosen = sorted(str(wheel) for wheel in wheels.glob("*.whl") if wheel != pip)
    install = [sys.executable, str(pip / "pip"), "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    quietly = ["--disable-pip-version-check", "--no-cache-dir", "--root-user-action=ignore"]
    where = f"--target={packages}"
    subprocess.run([*install, *quietly, where, *pip_target(machine), *chosen], check=True)
    finish(folder, packages)


def finish(folder: Path, packages: Path) -> None:
    """The same for every way of filling `packages`: commands, unused files, byte code."""
    commands = packages / "bin"
    for script in sorted(commands.iterdir()) if commands.is_dir() else []:
        text = script.read_text()
        if text.startswith("#!") and script.name.startswith(("workflow-", "kubectl-", "kubectl_")):
            target = folder / "bin" / script.name
            target.write_text(f"#!{folder / 'bin' / 'python'}\n" + text.partition("\n")[2])
            target.chmod(0o755)
    shutil.rmtree(commands, ignore_errors=True)
    for script in (folder / "bin").glob("[Aa]ctivate*"):
        script.unlink()
    shutil.rmtree(folder / "include", ignore_errors=True)
    for path in sorted(packages.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif is_left_out(path.relative_to(packages).as_posix()):
            path.unlink()
    # The file system of the container is read-only, and its times may change: no look at the source when it starts.
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(packages, quiet=1, workers=1, invalidation_mode=unchecked, stripdir=None):
        raise SystemExit(f"assemble.py: some modules in {packages} could not be compiled; see above")


def prove(folder: Path) -> None:
    """Starts every command once, so that a missing library fails the build of the image. Raises CalledProcessError."""
    for command in sorted((folder / "bin").iterdir()):
        if not command.name.startswith("python"):
            subprocess.run(
                [str(command), "--help"], stdout=subprocess.DEVNULL, check=True, env={"PATH": "/usr/bin:/bin"}
            )


def main() -> None:
    """See the docstring of this file."""
    wheels, folder, machine = Path(sys.argv[1]), Path(sys.argv[2]), os.environ.get("MACHINE") or platform.machine()
    assemble(wheels, folder, machine)
    if machine == platform.machine():
        prove(folder)


if __name__ == "__main__":
    main()
