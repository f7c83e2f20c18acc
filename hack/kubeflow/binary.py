"""Finds the training operator, or builds it once from its pinned Go module; its CRDs lie beside it.

Cached as the cluster's own binaries are, under a key of everything that goes into it. A build takes four minutes of
CPU time.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from hack.cluster import components
from hack.cluster.binaries import cache_root, missing
from hack.cluster.errors import ClusterError, build_failure
from hack.cluster.go_build import GoBuilder, only_builder
from hack.cluster.go_toolchain import find_go
from hack.cluster.progress import BuildProgress, open_progress

NAME = "training-operator"
MODULE = "github.com/kubeflow/training-operator"
PACKAGE = f"{MODULE}/cmd/training-operator.v1"
GO_MODULE = Path(__file__).parent / "go"
FLAGS = ("-mod=readonly", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags=-s -w")


def folder() -> Path:
    """Where the operator and its CRDs are cached."""
    go_mod, go_sum = ((GO_MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    return cache_root() / f"kubeflow-{components.cache_key(go_mod, go_sum, FLAGS)}"


def ensure() -> Path:
    """The folder that holds `training-operator` and `crds/`, built now if need be. Raises ClusterError."""
    target = folder()
    if not missing(target, frozenset({NAME})):
        return target
    try:
        target.mkdir(parents=True, exist_ok=True)
        with open_progress(1) as progress, only_builder(target, progress):
            if missing(target, frozenset({NAME})):
                progress.begin(1, NAME)
                _build(target, progress)
                progress.done(target)
    except OSError as error:
        raise build_failure(NAME, str(error), str(target)) from error
    return target


def _build(target: Path, progress: BuildProgress) -> None:
    wanted = components.go_version((GO_MODULE / "go.mod").read_text())
    builder = GoBuilder(find_go(wanted, cache_root(), progress), GO_MODULE, target, progress)
    builder.run(NAME, "mod", "download", MODULE)
    source = builder.run(NAME, "list", "-m", "-f", "{{.Dir}}", MODULE).strip()
    (target / "crds").mkdir(exist_ok=True)
    # One by one: a copied tree would be read-only, as everything in Go's module cache is.
    for crd in (Path(source) / "manifests" / "base" / "crds").glob("*.yaml"):
        shutil.copyfile(crd, target / "crds" / crd.name)
    # Last, because the program's presence says that everything is there.
    builder.build(NAME, PACKAGE, FLAGS)
    builder.clean()


def definitions(target: Path) -> list[Path]:
    """The operator's CRDs. Raises ClusterError if the folder has none."""
    found = sorted((target / "crds").glob("kubeflow.org_*.yaml"))
    if not found:
        raise ClusterError(f"{target}/crds holds no CRDs: remove {target}, and it is built anew")
    return found
