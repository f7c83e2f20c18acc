"""Builds the package as setup.cfg describes it; with WORK_FLOW_COMPILED=1 in the environment, with a compiled core.

The compiled core is the modules that pyproject.toml names. mypyc makes C of the same source files, so a C compiler and
the header files of Python are needed. The wheel is then one for this processor and this version of Python; without the
variable it is one for all.
"""

from __future__ import annotations

import configparser
import os
import re
import sysconfig
import tomllib
from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

# All compiled code is in this one library; each module gets a file of its own that takes it from there.
LIBRARY = "pkg.compiled"


def _sources() -> list[str]:
    names = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["work-flow"]["compiled"]
    return [f"{name.replace('.', '/')}.py" for name in names]


class CompileCore(build_ext):
    """Makes C of the modules, and compiles it."""

    def finalize_options(self) -> None:
        """Puts what mypyc makes in place of the placeholder. pip asks for the requirements before mypyc is there."""
        try:
            from mypyc.build import mypycify
        except ImportError:
            super().finalize_options()
            return
        paths = ["--config-file=setup.cfg", *_sources()]
        # As many small files instead of a large one: the compiler needs less memory.
        self.distribution.ext_modules = mypycify(
            paths, opt_level="2", debug_level="0", multi_file=True, target_dir="build/mypyc", group_name=LIBRARY
        )
        for extension in self.distribution.ext_modules:
            extension.include_dirs.append("build/mypyc/pkg")  # the folder of the library's header files
        super().finalize_options()


class PlatformWheel(bdist_wheel):
    """On Linux its tag names the oldest glibc that the compiled files run with; pip takes no other tag elsewhere."""

    def get_tag(self) -> tuple[str, str, str]:
        """Of the wheel: Python, ABI, platform."""
        python, abi, platform = super().get_tag()
        system, _, machine = platform.partition("_")
        if system == "linux" and str(sysconfig.get_config_var("SOABI")).endswith("gnu"):
            files = Path(self.bdist_dir or ".").rglob("*.so")
            found = {int(minor) for file in files for minor in re.findall(rb"GLIBC_2\.(\d+)", file.read_bytes())}
            platform = f"manylinux_2_{max(17, *found)}_{machine}"
        return python, abi, platform


def _needed() -> list[str]:
    """What mypyc needs: itself, and what the compiled modules import, for its types."""
    config = configparser.ConfigParser()
    config.read("setup.cfg")
    found = config["options"]["install_requires"].split()
    return [*found, *(one for one in config["options.extras_require"]["dev"].splitlines() if one.startswith("mypy=="))]


if os.environ.get("WORK_FLOW_COMPILED") == "1":
    setup(
        setup_requires=[] if find_spec("mypyc") else _needed(),
        ext_modules=[Extension(f"{LIBRARY}__mypyc", sources=[])],
        cmdclass={"build_ext": CompileCore, "bdist_wheel": PlatformWheel},
    )
else:
    setup()
