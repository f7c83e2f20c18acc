"""The CRDs of the Prometheus operator that installer/monitoring/ needs, from its pinned Go module."""

from __future__ import annotations

from pathlib import Path

from hack.manifests.module_files import ModuleFiles

_CRDS = ModuleFiles(
    module="github.com/prometheus-operator/prometheus-operator",
    source=Path(__file__).parent / "operator",
    within="example/prometheus-operator-crd",
    names=("monitoring.coreos.com_prometheusrules.yaml", "monitoring.coreos.com_servicemonitors.yaml"),
    prefix="prometheus-operator-",
)


def monitoring_crds() -> list[Path]:
    """Their files, fetched if that was never done (seconds). Raises ClusterError."""
    return _CRDS.ensure()
