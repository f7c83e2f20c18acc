"""The OpenAPI documents of the oldest Kubernetes that is meant to work, from its pinned Go module.

docs/compatibility.md names the version.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hack.manifests.module_files import ModuleFiles

_GROUPS = (
    "api__v1",
    "apis__admissionregistration.k8s.io__v1",
    "apis__apiextensions.k8s.io__v1",
    "apis__apps__v1",
    "apis__networking.k8s.io__v1",
    "apis__policy__v1",
    "apis__rbac.authorization.k8s.io__v1",
    "apis__scheduling.k8s.io__v1",
)
"""The groups of the kinds in installer/, as the files are named."""

DOCUMENTS = ModuleFiles(
    module="k8s.io/kubernetes",
    source=Path(__file__).parent / "oldest",
    within="api/openapi-spec/v3",
    names=tuple(f"{group}_openapi.json" for group in _GROUPS),
    prefix="oldest-kubernetes-",
)


def openapi() -> list[dict[str, Any]]:
    """One OpenAPI document for each group, fetched if that was never done (a minute). Raises ClusterError."""
    return [json.loads(file.read_text("utf-8")) for file in DOCUMENTS.ensure()]
