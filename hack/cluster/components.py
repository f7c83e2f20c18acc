"""Which programs a cluster is made of, where their source is pinned, and the key their build is cached under."""

from __future__ import annotations

import hashlib
import platform
import re
from dataclasses import dataclass
from pathlib import Path

GO_MODULE = Path(__file__).parent / "go"
"""Folder of the go.mod and go.sum that pin every binary."""


@dataclass(frozen=True, slots=True)
class Component:
    """One binary: its file name and the Go package it is built from."""

    name: str
    package: str


# The large ones first: the later ones reuse the packages that they compile.
COMPONENTS = (
    Component("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Component("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    Component("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    Component("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    Component("etcd", "go.etcd.io/etcd/server/v3"),
    Component("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    Component("kwokctl", "sigs.k8s.io/kwok/cmd/kwokctl"),
    Component("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
)

CONTROL_PLANE = frozenset(component.name for component in COMPONENTS) - {"kubelet"}
"""Names of the binaries that every cluster needs; the kubelet only runs real containers."""


def kubernetes_version(go_mod: str) -> str:
    """The version of Kubernetes that the text of a go.mod requires, such as `v1.36.3`."""
    match = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", go_mod, re.MULTILINE)
    if match is None:
        raise ValueError("go.mod does not require k8s.io/kubernetes")
    return match[1]


def go_version(go_mod: str) -> tuple[int, ...]:
    """The lowest Go version that the text of a go.mod allows, such as (1, 26, 0)."""
    match = re.search(r"^go ([0-9.]+)$", go_mod, re.MULTILINE)
    if match is None:
        raise ValueError("go.mod has no go line")
    return tuple(int(part) for part in match[1].split("."))


def build_flags(version: str) -> tuple[str, ...]:
    """Arguments of `go build` for Kubernetes `version`: small, reproducible, and it knows its own version."""
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamp = " ".join(f"-X {package}.gitVersion={version}" for package in packages)
    return ("-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", f"-ldflags=-s -w {stamp}")


def cache_key(go_mod: bytes, go_sum: bytes, flags: tuple[str, ...], machine: str | None = None) -> str:
    """Sixteen hex digits that change whenever a binary built from these inputs would."""
    digest = hashlib.sha256()
    machine = machine or f"{platform.system()}/{platform.machine()}"
    for part in (go_mod, go_sum, "\0".join(flags).encode(), machine.encode()):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:16]
