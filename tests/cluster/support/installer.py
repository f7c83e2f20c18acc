"""The manifests of installer/controller, as objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

INSTALLER = Path(__file__).resolve().parents[3] / "installer"
CONTROLLER = INSTALLER / "controller"
RIGHTS = frozenset({"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"})


def documents(*files: Path) -> list[dict[str, Any]]:
    """The objects in these files, in order; those of installer/controller if none are given."""
    read = files or sorted(CONTROLLER.glob("*.yaml"))
    return [document for file in read for document in yaml.safe_load_all(file.read_text("utf-8"))]


def rights() -> list[dict[str, Any]]:
    """The namespace, the accounts and their roles: what a controller or a webhook outside of the cluster needs."""
    return [document for document in documents() if document["kind"] in RIGHTS]
