"""The pins of the cluster's binaries and the key that their builds are cached under."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hack.cluster import binaries, components, go_build
from hack.cluster.errors import ClusterError

GO_MOD = (components.GO_MODULE / "go.mod").read_text()


def test_every_component_is_a_tool_of_the_one_go_module() -> None:
    block = re.search(r"^tool \((.*?)^\)", GO_MOD, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert set(block[1].split()) == {component.package for component in components.COMPONENTS}


def test_every_staging_repository_is_replaced_by_the_version_that_belongs_to_kubernetes() -> None:
    version = components.kubernetes_version(GO_MOD)
    versions = set(re.findall(r"^replace k8s\.io/\S+ => k8s\.io/\S+ (\S+)$", GO_MOD, re.MULTILINE))
    assert versions == {version.replace("v1.", "v0.", 1)}


def test_versions_are_read_from_the_text_of_a_go_mod() -> None:
    text = "module x\n\ngo 1.26.0\n\nrequire (\n\tk8s.io/kubernetes v1.36.3\n)\n"
    assert components.kubernetes_version(text) == "v1.36.3"
    assert components.go_version(text) == (1, 26, 0)


@pytest.mark.parametrize("read", [components.kubernetes_version, components.go_version])
def test_a_go_mod_without_a_version_is_refused(read: object) -> None:
    assert callable(read)
    with pytest.raises(ValueError, match=r"go\.mod"):
        read("module x\n")


def test_the_binaries_know_the_version_of_kubernetes() -> None:
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in " ".join(components.build_flags("v1.36.3"))


@pytest.mark.parametrize(
    ("go_mod", "go_sum", "flags", "machine"),
    [
        pytest.param(b"other", b"sum", ("-f",), "Linux/x86_64", id="another go.mod"),
        pytest.param(b"mod", b"other", ("-f",), "Linux/x86_64", id="another go.sum"),
        pytest.param(b"mod", b"sum", ("-g",), "Linux/x86_64", id="other flags"),
        pytest.param(b"mod", b"sum", ("-f",), "Linux/aarch64", id="another machine"),
        pytest.param(b"mods", b"um", ("-f",), "Linux/x86_64", id="the same bytes cut elsewhere"),
    ],
)
def test_the_cache_key_changes_with(go_mod: bytes, go_sum: bytes, flags: tuple[str, ...], machine: str) -> None:
    key = components.cache_key(b"mod", b"sum", ("-f",), "Linux/x86_64")
    assert components.cache_key(b"mod", b"sum", ("-f",), "Linux/x86_64") == key
    assert components.cache_key(go_mod, go_sum, flags, machine) != key


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({"XDG_CACHE_HOME": "/x"}, "/x/workflow-cluster", id="XDG_CACHE_HOME is used"),
        pytest.param({"XDG_CACHE_HOME": "x"}, str(Path.home() / ".cache/workflow-cluster"), id="a relative one is not"),
        pytest.param({}, str(Path.home() / ".cache/workflow-cluster"), id="without it ~/.cache is"),
    ],
)
def test_where_builds_are_cached(environ: dict[str, str], expected: str) -> None:
    assert str(go_build.cache_root(environ)) == expected


def test_a_folder_of_binaries_that_lacks_some_is_refused_with_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in components.CONTROL_PLANE - {"etcd", "kwok"}:
        (tmp_path / name).touch(0o755)
    (tmp_path / "etcd").mkdir()
    monkeypatch.setenv(binaries.OVERRIDE, str(tmp_path))
    with pytest.raises(ClusterError, match="lacks etcd, kwok: "):
        binaries.ensure()


def test_a_complete_folder_of_binaries_is_used_and_the_kubelet_asked_for_only_when_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in components.CONTROL_PLANE:
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv(binaries.OVERRIDE, str(tmp_path))
    assert binaries.ensure() == tmp_path
    with pytest.raises(ClusterError, match="lacks kubelet"):
        binaries.ensure(kubelet=True)
