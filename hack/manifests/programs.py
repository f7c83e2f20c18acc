"""helm, kubeconform and kube-score, built once from pinned Go modules (five minutes of CPU time)."""

from __future__ import annotations

from pathlib import Path

from hack.cluster.components import Component
from hack.cluster.go_build import GoPrograms

HERE = Path(__file__).parent
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags=-s -w")

HELM = GoPrograms(
    what="helm and kubeconform",
    source=HERE / "go",
    programs=(
        Component("helm", "helm.sh/helm/v4/cmd/helm"),
        Component("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform"),
    ),
    flags=FLAGS,
    needed_bytes=3 * 10**9,
    prefix="helm-",
)


# A module of its own: kube-score wants an older Kubernetes than helm does.
KUBE_SCORE = GoPrograms(
    what="kube-score",
    source=HERE / "kube_score",
    programs=(Component("kube-score", "github.com/zegl/kube-score/cmd/kube-score"),),
    flags=FLAGS,
    needed_bytes=2 * 10**9,
    prefix="kube-score-",
)


def helm() -> Path:
    """The program, built now if need be. Raises ClusterError."""
    return HELM.ensure() / "helm"


def kubeconform() -> Path:
    """The program, built now if need be. Raises ClusterError."""
    return HELM.ensure() / "kubeconform"


def kube_score() -> Path:
    """The program, built now if need be. Raises ClusterError."""
    return KUBE_SCORE.ensure() / "kube-score"
