"""What is built, what is left alone, and in which order. A script named `go` stands for the compiler."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack.cluster.components import Component
from hack.cluster.errors import ClusterError
from hack.cluster.go_build import GoBuilder, GoPrograms, cache_root

GO = """#!/bin/sh
case "$1" in
version) echo "go version go1.99.0 linux/amd64";;
list) for last; do :; done
  echo "go: downloading example.org v1.0.0" >&2
  [ "$last" = example.org/offline ] && { echo "go: example.org: dial tcp: no route to host" >&2; exit 1; }
  printf '%s\t%s\tgo.mod\n' "$last" "$PWD";;
build) for last; do :; done
  echo "$last" >&2
  [ "$last" != example.org/broken ] || { echo "broken.go:1: undefined: x" >&2; exit 1; }
  while [ "$1" != -o ]; do shift; done
  echo "$last" > "$2"; chmod +x "$2"; echo "$last" >> "$LOG";;
esac
"""
ONE, TWO = Component("one", "example.org/one"), Component("two", "example.org/two")


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The packages that were built; cache, compiler and module are in the test's folder."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "go").write_text(GO)
    (tmp_path / "bin" / "go").chmod(0o755)
    (tmp_path / "go.mod").write_text("module x\n\ngo 1.26.0\n")
    (tmp_path / "go.sum").write_text("")
    (tmp_path / "log").touch()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def programs(log: Path, *parts: Component, needed_bytes: int = 0) -> GoPrograms:
    return GoPrograms("the programs", log.parent, parts, ("-trimpath",), needed_bytes, prefix="test-")


def test_all_are_built_once_and_the_scratch_space_is_gone(log: Path) -> None:
    folder = programs(log, ONE, TWO).ensure()
    assert folder.parent == cache_root()
    assert folder.name.startswith("test-")
    assert sorted(file.name for file in folder.iterdir()) == [".lock", "one", "two"]
    assert programs(log, ONE, TWO).ensure() == folder
    assert log.read_text().split() == [ONE.package, TWO.package]


def test_only_what_is_missing_is_built(log: Path) -> None:
    folder = programs(log, ONE, TWO).ensure()
    (folder / "two").unlink()
    programs(log, ONE, TWO).ensure()
    assert log.read_text().split() == [ONE.package, TWO.package, TWO.package]


def test_a_failed_build_names_the_program_and_the_next_one_continues(log: Path) -> None:
    with pytest.raises(ClusterError, match=r"building broken failed: broken\.go:1: undefined: x"):
        programs(log, ONE, Component("broken", "example.org/broken")).ensure()
    programs(log, ONE, TWO).ensure()
    assert log.read_text().split() == [ONE.package, TWO.package]


def test_further_files_are_there_before_the_program(log: Path) -> None:
    def extra(_: GoBuilder, folder: Path) -> None:
        assert not (folder / "one").exists()
        (folder / "crds").mkdir()

    folder = GoPrograms("the programs", log.parent, (ONE,), (), 0, extra=extra).ensure()
    assert (folder / "crds").is_dir()


def test_a_disk_that_is_too_small_is_found_before_the_build(log: Path) -> None:
    with pytest.raises(ClusterError, match="not enough disk space to build the programs"):
        programs(log, ONE, needed_bytes=10**18).ensure()
    assert log.read_text() == ""


def test_without_a_network_the_error_says_so_before_anything_is_built(log: Path) -> None:
    with pytest.raises(ClusterError, match=r"no network while building offline: .*GOPROXY"):
        programs(log, Component("offline", "example.org/offline")).ensure()
    assert log.read_text() == ""


def test_the_progress_goes_to_standard_error_and_says_how_much_is_done(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    programs(log, ONE, TWO).ensure()
    out, err = capsys.readouterr()
    assert out == ""
    assert "building: one (1 of 2), 0 % of all done" in err
    assert "building: two (2 of 2), 49 % of all done" in err
    assert "built 2 of 2 components" in err
