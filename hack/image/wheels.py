"""Collects the wheels of one image: the project's own, and of the rest the versions that this environment has."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

from hack import compiled
from hack.image.assemble import pip_target
from hack.image.errors import ImageError, run

ROOT = Path(__file__).resolve().parents[2]
MACHINES: Mapping[str, str] = {"amd64": "x86_64", "arm64": "aarch64"}
"""Name of a processor in images -> in wheels."""


def build_project(target: Path, *, isolated: bool = True, is_compiled: bool = False) -> Path:
    """Builds the wheel of this checkout into the folder `target`; returns its path. Raises ImageError.

    isolated: with what pyproject.toml asks for, from the network, and not with what is installed here.
    is_compiled: with a compiled core, for this processor and this version of Python alone; else for all.
    """
    target.mkdir(parents=True, exist_ok=True)
    scratch = target / "scratch"
    # A copy, so that setuptools leaves nothing in the checkout.
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, scratch)
    shutil.copytree(ROOT / "pkg", scratch / "pkg", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    isolation = [] if isolated else ["--no-isolation"]
    run(
        [sys.executable, "-m", "build", "--wheel", *isolation, "--outdir", str(scratch / "dist"), str(scratch)],
        what=f"building the wheel of this checkout{' with a compiled core' if is_compiled else ''}",
        environ=compiled.environ(is_compiled),
    )
    (made,) = (scratch / "dist").glob("*.whl")
    wheel = target / made.name
    made.replace(wheel)
    shutil.rmtree(scratch)
    return wheel


def build_both(target: Path, wanted: str, say: Callable[[str], None]) -> list[Path]:
    """Builds the wheel for all machines into `target`, and the one with a compiled core for this machine.

    wanted: `auto` for the second one where there is a C compiler, `1` to fail without one, `0` for the first one alone.
    Older wheels of the project in the folder are removed. Raises ImageError.
    """
    if wanted not in ("auto", "0", "1"):
        raise ImageError(f"COMPILED is {wanted}; it must be auto, 0 or 1")
    for old in target.glob("work_flow-*.whl"):
        old.unlink()
    why = compiled.why_not() if wanted != "0" else ""
    if why and wanted == "1":
        raise ImageError(f"the core cannot be compiled: {why}")
    if why:
        say(f"without a compiled core, which plans faster: {why}")
    built = [build_project(target)]
    if wanted != "0" and not why:
        built.append(build_project(target, isolated=False, is_compiled=True))
    return built


def collect(arch: str, project: Path, versions: Mapping[str, str], target: Path, python: str) -> None:
    """Fills the folder `target` with wheels for `arch` and Python `python`; those that are there are kept.

    `versions` maps each distribution to its version. Raises ImageError.
    """
    target.mkdir(parents=True, exist_ok=True)
    wanted = [f"{name}=={version}" for name, version in versions.items()]
    for old in target.glob("work_flow-*.whl"):
        old.unlink()
    # What an earlier build left may be of other versions.
    stamp = target / "wheels.txt"
    listing = "\n".join([python, *wanted, f"pip=={metadata.version('pip')}"])
    if not stamp.exists() or stamp.read_text() != listing:
        for old in target.glob("*.whl"):
            old.unlink()
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={target}"]
        what = f"downloading the wheels for {arch}"
        run([*download, *pip_target(MACHINES[arch], python), *wanted], what=what)
        run([*download, "--only-binary=:all:", f"pip=={metadata.version('pip')}"], what="downloading pip")
        if sources := [path.name for path in target.iterdir() if path.suffix not in {".whl", ".txt"}]:
            raise ImageError(f"there is no wheel for {arch} of {', '.join(sources)}")
        stamp.write_text(listing)
    shutil.copy(project, target)
