"""Folders of packages, made from what is installed here, and the commands in them."""

from __future__ import annotations

import shutil
import subprocess
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path


def make(folder: Path, distributions: Iterable[str]) -> Path:
    """A virtual environment with the files of these distributions; returns its site-packages."""
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    (packages,) = folder.glob("lib/python3*/site-packages")
    for name in distributions:
        for file in metadata.files(name) or []:
            if ".." not in file.parts and file.suffix != ".pyc":
                target = packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), target)
    return packages


def run(tree: Path, *command: str, code: int = 0) -> str:
    """Standard output and standard error of a command of the tree, with an environment as empty as a container's."""
    environ = {"PATH": f"{tree / 'bin'}:/usr/bin:/bin", "HOME": "/nonexistent"}
    program = str(tree / "bin" / command[0])
    result = subprocess.run(
        [program, *command[1:]], env=environ, cwd=tree, capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr


def imported(tree: Path, code: str) -> set[str]:
    """The top-level modules that are loaded after `code` ran."""
    ran = run(tree, "python", "-c", f"{code}\nimport sys\nprint('LOADED', *(n.split('.')[0] for n in sys.modules))")
    return set(ran.rpartition("LOADED")[2].split())
