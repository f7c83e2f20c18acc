"""Kubeflow's training operator and its CRDs, built once from its pinned Go module (four minutes of CPU time)."""

from __future__ import annotations

import shutil
from pathlib import Path

from hack.cluster.components import Component
from hack.cluster.errors import ClusterError
from hack.cluster.go_build import GoBuilder, GoPrograms

NAME = "training-operator"
MODULE = "github.com/kubeflow/training-operator"
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags=-s -w")


def _copy_crds(builder: GoBuilder, target: Path) -> None:
    """Copies the operator's CRDs out of Go's module cache into `target/crds`."""
    builder.run(NAME, "mod", "download", MODULE)
    source = builder.run(NAME, "list", "-m", "-f", "{{.Dir}}", MODULE).strip()
    (target / "crds").mkdir(exist_ok=True)
    # One by one: a copied tree would be read-only, as everything in Go's module cache is.
    for crd in (Path(source) / "manifests" / "base" / "crds").glob("*.yaml"):
        shutil.copyfile(crd, target / "crds" / crd.name)


OPERATOR = GoPrograms(
    what=NAME,
    source=Path(__file__).parent / "go",
    programs=(Component(NAME, f"{MODULE}/cmd/training-operator.v1"),),
    flags=FLAGS,
    needed_bytes=3 * 10**9,
    prefix="kubeflow-",
    extra=_copy_crds,
)


def ensure() -> Path:
    """The folder that holds `training-operator` and `crds/`, built now if need be. Raises ClusterError."""
    return OPERATOR.ensure()


def definitions(target: Path) -> list[Path]:
    """The operator's CRDs. Raises ClusterError if the folder has none."""
    found = sorted((target / "crds").glob("kubeflow.org_*.yaml"))
    if not found:
        raise ClusterError(f"{target}/crds holds no CRDs: remove {target}; the next run builds it again")
    return found
