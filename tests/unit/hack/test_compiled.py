"""The compiled core in a checkout: what cannot be compiled, and which compiled files must not run."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import pytest

from hack import compiled

SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))
NAMES = ["pkg.one", "pkg.two"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Two sources, each with a compiled file that is newer."""
    (tmp_path / "pkg").mkdir()
    for name in ("one", "two"):
        for suffix, time in ((".py", 100), (SUFFIX, 200)):
            path = tmp_path / "pkg" / (name + suffix)
            path.touch()
            os.utime(path, (time, time))
    (tmp_path / "pkg" / f"compiled__mypyc{SUFFIX}").touch()
    return tmp_path


def test_newer_compiled_files_may_run(checkout: Path) -> None:
    assert compiled.fault(checkout, NAMES) == ""


def test_a_source_that_was_edited_since_is_named(checkout: Path) -> None:
    os.utime(checkout / "pkg" / "two.py", (300, 300))
    said = compiled.fault(checkout, NAMES)
    assert said == (
        "pkg.two was edited since it was compiled: run `make compile` again, or `make clean` to run the sources"
    )


def test_a_module_that_was_not_compiled_with_the_others_is_named(checkout: Path) -> None:
    assert "pkg.three is not compiled" in compiled.fault(checkout, [*NAMES, "pkg.three"])


def test_sources_alone_are_never_too_old(checkout: Path) -> None:
    compiled.remove(checkout)
    assert compiled.fault(checkout, NAMES) == ""
    assert sorted(path.name for path in (checkout / "pkg").iterdir()) == ["one.py", "two.py"]


def test_without_a_compiler_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert "apt-get install gcc" in compiled.why_not()


def test_without_header_files_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda _program: "/usr/bin/cc")
    monkeypatch.setattr("sysconfig.get_path", lambda _name: str(tmp_path))
    assert f"there is no {tmp_path}/Python.h" in compiled.why_not()


def test_a_copy_of_other_sources_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours, copy = tmp_path / "ours", tmp_path / "copy"
    for root in (ours, copy):
        (root / "pkg").mkdir(parents=True)
        (root / "pkg" / "one.py").write_text("ONE = 1\n")
    monkeypatch.setattr(compiled, "ROOT", ours)
    assert compiled.outdated(ours) == ""
    assert compiled.outdated(copy) == ""
    (ours / "pkg" / "one.py").write_text("ONE = 2\n")
    assert f"{copy} has another pkg/one.py than this checkout" in compiled.outdated(copy)
    (copy / "pkg" / "one.py").unlink()
    assert "hack.compiled copy` again" in compiled.outdated(copy)
