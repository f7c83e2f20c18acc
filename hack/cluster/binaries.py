"""Finds the cluster's binaries in the folder that WORKFLOW_CLUSTER_BINARIES names, else builds and caches them."""

from __future__ import annotations

import os
from pathlib import Path

from hack.cluster import components
from hack.cluster.components import COMPONENTS, CONTROL_PLANE, GO_MODULE
from hack.cluster.errors import ClusterError
from hack.cluster.go_build import GoPrograms, missing

OVERRIDE = "WORKFLOW_CLUSTER_BINARIES"


def ensure(*, kubelet: bool = False) -> Path:
    """The folder that has all binaries, built now if need be (about ten minutes on two cores, once).

    With `kubelet` the kubelet must be among them; the cache always has it. Raises ClusterError.
    """
    if override := os.environ.get(OVERRIDE):
        folder = Path(override).expanduser().resolve()
        if lacking := missing(folder, CONTROL_PLANE | {"kubelet"} if kubelet else CONTROL_PLANE):
            raise ClusterError(
                f"{OVERRIDE}={override} lacks {', '.join(lacking)}: put executable files of these names "
                f"there, or unset {OVERRIDE} to have everything built"
            )
        return folder
    version = components.kubernetes_version((GO_MODULE / "go.mod").read_text())
    flags = components.build_flags(version)
    return GoPrograms("the cluster's binaries", GO_MODULE, COMPONENTS, flags, needed_bytes=5 * 10**9).ensure()
