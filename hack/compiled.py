"""The compiled core in this checkout: `python -m hack.compiled make|check|remove`.

Python prefers a compiled file to the source beside it, also to one that was edited since. `check` finds such files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Sequence
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
_SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))


def environ(is_compiled: bool) -> dict[str, str]:
    """The environment of setup.py that builds with a compiled core, or without one."""
    return os.environ | {"WORK_FLOW_COMPILED": str(int(is_compiled))}


def modules(root: Path = ROOT) -> list[str]:
    """The names of the modules that are compiled, as pyproject.toml of the checkout lists them."""
    found: list[str] = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["work-flow"]["compiled"]
    return found


def why_not() -> str:
    """Why nothing can be compiled here, and what to do; empty if it can."""
    compiler = str(sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler `{compiler}`: install one (Debian and Ubuntu: apt-get install gcc)"
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    if not headers.exists():
        return f"there is no {headers}: install Python's header files (Debian and Ubuntu: apt-get install python3-dev)"
    return ""


def fault(root: Path, names: Sequence[str]) -> str:
    """What is wrong with the compiled files of a checkout, and what to do; empty if nothing is, or there are none."""
    if not list((root / "pkg").glob("compiled__mypyc*.so")):
        return ""
    for name in names:
        source = root / f"{name.replace('.', '/')}.py"
        compiled = source.with_name(source.stem + _SUFFIX)
        why = ""
        if not compiled.exists():
            why = f"{name} is not compiled, and others are"
        elif compiled.stat().st_mtime < source.stat().st_mtime:
            why = f"{name} was edited since it was compiled"
        if why:
            return f"{why}: run `make compile` again, or `make clean` to run the sources"
    return ""


def remove(root: Path = ROOT) -> None:
    """Removes every compiled file from the checkout."""
    for path in (root / "pkg").rglob("*.so"):
        path.unlink()
    shutil.rmtree(root / "build" / "mypyc", ignore_errors=True)


@click.group()
def main() -> None:
    """The compiled core in this checkout."""


@main.command()
def make() -> None:
    """Compile the core in place (a minute)."""
    if why := why_not():
        raise click.ClickException(f"the core cannot be compiled: {why}")
    remove()
    click.echo(f"compiling {len(modules())} modules")
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    result = subprocess.run(
        command, cwd=ROOT, env=environ(True), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        remove()
        raise click.ClickException(f"compiling failed, the sources run as before:\n{result.stdout[-4000:]}")
    # A file that did not change is copied with its old time.
    for path in (ROOT / "pkg").rglob("*.so"):
        path.touch()


@main.command()
def check() -> None:
    """Fail if a source was edited since it was compiled."""
    if why := fault(ROOT, modules()):
        raise click.ClickException(why)


@main.command("remove")
def take_off() -> None:
    """Remove what was compiled in place: the sources run again."""
    remove()


if __name__ == "__main__":
    main(prog_name="python -m hack.compiled")
