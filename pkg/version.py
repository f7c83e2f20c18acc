"""The one place that names the version; setup.cfg, --version and the user agent read it."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

VERSION = "0.2.0"


def build(package: Path = Path(__file__).parent) -> str:
    """`compiled` if the planner's modules run as mypyc has compiled them, else `not compiled`: their sources run.

    package: the folder `pkg` in question, by default that of this process.
    """
    library = package / "compiled__mypyc"
    is_compiled = any(library.with_name(library.name + suffix).exists() for suffix in EXTENSION_SUFFIXES)
    return "compiled" if is_compiled else "not compiled"
