"""The search for a Python that can make the environment. Real scripts stand for the candidates."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "hack" / "find-python.sh"
GOOD = "exit 0"
BROKEN = "exit 127"
BARE = 'case "$2" in *ensurepip*) exit 1;; esac'
"""Runs, is new enough, and has no venv module."""


def candidate(folder: Path, name: str, body: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)


def search(folder: Path, wanted: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the search where only `folder` and the shell's own programs are on PATH."""
    (folder / "bash").symlink_to("/bin/bash")
    environ = {"PATH": str(folder)} | ({"PYTHON": wanted} if wanted else {})
    return subprocess.run(["/bin/bash", SCRIPT], env=environ, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize(
    ("there", "wanted", "found"),
    [
        pytest.param({"python3": GOOD}, None, "python3", id="python3 is taken first"),
        pytest.param(
            {"python3": BROKEN, "python3.12": GOOD}, None, "python3.12", id="one that does not run is passed by"
        ),
        pytest.param({"python3": BARE, "python3.11": GOOD}, None, "python3.11", id="one without venv is passed by"),
        pytest.param({"python3": GOOD, "mine": GOOD}, "mine", "mine", id="PYTHON names the only candidate"),
    ],
)
def test_a_python_is_found(tmp_path: Path, there: dict[str, str], wanted: str | None, found: str) -> None:
    for name, body in there.items():
        candidate(tmp_path, name, body)
    done = search(tmp_path, wanted)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, found, "")


def test_without_one_the_message_says_what_was_tried_and_what_to_do(tmp_path: Path) -> None:
    candidate(tmp_path, "python3", BROKEN)
    candidate(tmp_path, "python3.12", BARE)
    done = search(tmp_path)
    assert done.returncode == 1
    assert "not found: python3.13 python3.11 python3.14\n" in done.stderr
    assert "does not run: python3\n" in done.stderr
    assert "apt-get install python3-venv): python3.12\n" in done.stderr
    assert "make PYTHON=/path/to/python3.12" in done.stderr
