"""Finds the training operator, or builds it once from its pinned Go module; its CRDs lie beside it.

Cached as the cluster's own binaries are, under a key of everything that goes into it. A build takes four minutes of
CPU time.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from hack.cluster import components
from hack.cluster.binaries import cache_root, missing
from hack.cluster.errors import ClusterError, build_failure
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
        with (target / ".lock").open("w") as lock, open_progress(1) as progress:
            progress.begin(1, NAME)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if missing(target, frozenset({NAME})):
                _build(target, progress)
            progress.done(target)
    except OSError as error:
        raise build_failure(NAME, str(error), str(target)) from error
    return target


def _build(target: Path, progress: BuildProgress) -> None:
    scratch = target / ".build"
    (scratch / "tmp").mkdir(parents=True, exist_ok=True)
    wanted = components.go_version((GO_MODULE / "go.mod").read_text())
    go = str(find_go(wanted, cache_root(), progress))
    environ = {key: value for key, value in os.environ.items() if key not in {"GOFLAGS", "GOOS", "GOARCH"}}
    environ |= {
        "CGO_ENABLED": "0",
        "GOCACHE": str(scratch / "gocache"),
        "GOTMPDIR": str(scratch / "tmp"),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    _run([go, "build", *FLAGS, "-o", str(scratch / NAME), PACKAGE], environ, target, progress)
    source = _run([go, "list", "-m", "-f", "{{.Dir}}", MODULE], environ, target, progress).strip()
    shutil.rmtree(target / "crds", ignore_errors=True)
    shutil.copytree(Path(source) / "manifests" / "base" / "crds", target / "crds", copy_function=shutil.copyfile)
    (scratch / NAME).rename(target / NAME)
    shutil.rmtree(scratch, ignore_errors=True)


def _run(command: list[str], environ: dict[str, str], target: Path, progress: BuildProgress) -> str:
    """Standard output of a go command; ClusterError with what it said if it fails."""
    with subprocess.Popen(
        command,
        cwd=GO_MODULE,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            while True:
                try:
                    out, err = process.communicate(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    progress.tick()
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise build_failure(NAME, err or out, str(target))
    return out


def definitions(target: Path) -> list[Path]:
    """The operator's CRDs. Raises ClusterError if the folder has none."""
    found = sorted((target / "crds").glob("kubeflow.org_*.yaml"))
    if not found:
        raise ClusterError(f"{target}/crds holds no CRDs: remove {target}, and it is built anew")
    return found
