"""The CRDs of the Prometheus operator that installer/monitoring/ needs, from its pinned Go module."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from hack.cluster.components import cache_key, go_version
from hack.cluster.go_build import GoBuilder, cache_root, only_builder
from hack.cluster.go_toolchain import find_go
from hack.cluster.progress import open_progress

SOURCE = Path(__file__).parent / "operator"
MODULE = "github.com/prometheus-operator/prometheus-operator"
PLURALS = ("prometheusrules", "servicemonitors")


def monitoring_crds() -> list[Path]:
    """Their files, copied out of Go's module cache if that was never done (seconds). Raises ClusterError."""
    go_mod, go_sum = ((SOURCE / name).read_bytes() for name in ("go.mod", "go.sum"))
    folder = cache_root() / f"prometheus-operator-{cache_key(go_mod, go_sum, ())}"
    wanted = [folder / f"monitoring.coreos.com_{plural}.yaml" for plural in PLURALS]
    if all(file.exists() for file in wanted):
        return wanted
    folder.mkdir(parents=True, exist_ok=True)
    with open_progress(1) as progress, only_builder(folder, progress):
        go = find_go(go_version(go_mod.decode()), cache_root(), progress)
        builder = GoBuilder(go, SOURCE, folder, progress)
        module = Path(json.loads(builder.run(MODULE, "mod", "download", "-json", MODULE))["Dir"])
        for file in wanted:
            # Under another name first: a file of this name is whole.
            shutil.copyfile(module / "example" / "prometheus-operator-crd" / file.name, file.with_suffix(".new"))
            file.with_suffix(".new").rename(file)
        builder.clean()
    return wanted
