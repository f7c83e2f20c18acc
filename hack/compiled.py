"""The compiled core in this checkout: `python -m hack.compiled make|copy|check|remove`.

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
#: A copy of what the programs run, with a compiled core, beside sources that stay as they are.
COPY = ROOT / "build" / "compiled"
#: What the copy has: the programs, and what compiling needs.
_COPIED = ("cmd", "pkg", "hack/moved_clock.py", "pyproject.toml", "setup.cfg", "setup.py", "README.md", "LICENSE")
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


def outdated(copy: Path) -> str:
    """What is wrong with a copy of this checkout, and what to do; empty if it has the same sources, or is none."""
    for source in sorted((ROOT / "pkg").rglob("*.py")) if copy != ROOT else ():
        path = source.relative_to(ROOT)
        if not (copy / path).exists() or (copy / path).read_bytes() != source.read_bytes():
            return f"{copy} has another {path} than this checkout: run `python -m hack.compiled copy` again"
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
    """Compile the core in place (two minutes)."""
    if why := why_not():
        raise click.ClickException(f"the core cannot be compiled: {why}")
    click.echo(f"compiling {len(modules())} modules")
    _compile(ROOT, "the sources run as before")


@main.command()
def copy() -> None:
    """Copy the programs to build/compiled, compile the core there, and print where that is.

    Without a compiler nothing is copied, the reason goes to standard error, and this checkout is printed.
    """
    if why := why_not():
        click.echo(f"the core is not compiled: {why}", err=True)
        click.echo(ROOT)
        return
    shutil.rmtree(COPY, ignore_errors=True)
    for name in _COPIED:
        source, target = ROOT / name, COPY / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy2(source, target)
    _compile(COPY, "`make test TESTS=tests/cluster` runs tests on the sources")
    click.echo(COPY)


def _compile(root: Path, instead: str) -> None:
    """Compiles the core of a checkout in place; ClickException with the end of what was printed, if it fails.

    instead: what can be done without, for the message.
    """
    remove(root)
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    result = subprocess.run(
        command, cwd=root, env=environ(True), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        remove(root)
        raise click.ClickException(f"compiling failed ({instead}):\n{result.stdout[-4000:]}")
    # A file that did not change is copied with its old time.
    for path in (root / "pkg").rglob("*.so"):
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
