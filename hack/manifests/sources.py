"""The folders of installer/, and the objects in their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

Document = dict[str, Any]

INSTALLER: Final = Path(__file__).resolve().parents[2] / "installer"
CONTROLLER: Final = INSTALLER / "controller"
MONITORING: Final = INSTALLER / "monitoring"
NETWORK: Final = INSTALLER / "network"
LOGS: Final = INSTALLER / "logs"
DASHBOARD: Final = INSTALLER / "dashboard"
CHART: Final = INSTALLER / "helm"
NAMESPACE: Final = "workflow-system"


def files() -> list[Path]:
    """Every file that holds objects for `kubectl apply`: no kustomization, and nothing of the chart."""
    beside = (
        MONITORING / "manifests",
        NETWORK / "manifests",
        LOGS,
        DASHBOARD,
        DASHBOARD / "monitoring",
        INSTALLER / "rbac",
    )
    folders = (CONTROLLER, INSTALLER / "crds", *beside)
    return [file for folder in folders for file in sorted(folder.glob("*.yaml"))]


def objects(*paths: Path) -> list[Document]:
    """The objects in these files, in order."""
    return [document for path in paths for document in yaml.safe_load_all(path.read_text("utf-8"))]


def dump(*documents: Document) -> str:
    """YAML without anchors, in the order of the keys."""
    return yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=4096, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes equal parts out, and texts of several lines as blocks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
