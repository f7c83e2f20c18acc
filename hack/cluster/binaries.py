"""Finds the cluster's binaries, or builds them once from the pinned Go modules.

Looked for in the folder named by WORKFLOW_CLUSTER_BINARIES, else in the user's cache. A build writes each binary
to a temporary name and renames it, so an interrupted build leaves whole files only and the next one continues.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from hack.cluster import components
from hack.cluster.components import COMPONENTS, CONTROL_PLANE, GO_MODULE
from hack.cluster.errors import ClusterError, build_failure
from hack.cluster.go_build import GoBuilder, only_builder
from hack.cluster.go_toolchain import find_go
from hack.cluster.progress import open_progress

OVERRIDE = "WORKFLOW_CLUSTER_BINARIES"
_NEEDED_BYTES = 5 * 10**9


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder all builds are cached under: `$XDG_CACHE_HOME/workflow-cluster`, by default in ~/.cache."""
    base = environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "workflow-cluster"


def missing(folder: Path, names: frozenset[str]) -> list[str]:
    """Those of `names` that are no executable file in `folder`, sorted."""
    return sorted(name for name in names if not os.access(folder / name, os.X_OK) or (folder / name).is_dir())


def ensure(*, kubelet: bool = False) -> Path:
    """The folder that has all binaries, built now if need be (about ten minutes on two cores, once).

    With `kubelet` the kubelet must be among them; the cache always has it. Raises ClusterError.
    """
    needed = CONTROL_PLANE | {"kubelet"} if kubelet else CONTROL_PLANE
    if override := os.environ.get(OVERRIDE):
        folder = Path(override).expanduser().resolve()
        if lacking := missing(folder, needed):
            raise ClusterError(
                f"{OVERRIDE}={override} lacks {', '.join(lacking)}: put executable files of these names "
                f"there, or unset {OVERRIDE} to have everything built"
            )
        return folder
    go_mod = (GO_MODULE / "go.mod").read_bytes()
    flags = components.build_flags(components.kubernetes_version(go_mod.decode()))
    folder = cache_root() / components.cache_key(go_mod, (GO_MODULE / "go.sum").read_bytes(), flags)
    every = frozenset(component.name for component in COMPONENTS)
    if missing(folder, every):
        _build(folder, flags, components.go_version(go_mod.decode()))
    return folder


def _build(folder: Path, flags: tuple[str, ...], go_version: tuple[int, ...]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open_progress(len(COMPONENTS)) as progress, only_builder(folder, progress):
            todo = [component for component in COMPONENTS if missing(folder, frozenset({component.name}))]
            if not todo:
                return
            _check_space(folder)
            builder = GoBuilder(find_go(go_version, cache_root(), progress), GO_MODULE, folder, progress)
            for component in todo:
                progress.begin(COMPONENTS.index(component) + 1, component.name)
                builder.build(component.name, component.package, flags)
            builder.clean()
            progress.done(folder)
    except OSError as error:
        raise build_failure("the cluster's binaries", str(error), str(folder)) from error


def _check_space(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < _NEEDED_BYTES:
        raise ClusterError(
            f"not enough disk space to build the cluster's binaries in {folder}: {free / 1e9:.1f} GB are free, about "
            f"{_NEEDED_BYTES / 1e9:.0f} GB are needed for a while; free some or set XDG_CACHE_HOME to a larger disk"
        )
