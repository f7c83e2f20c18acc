"""New Workflows from manifests and from old ones: given parameters, and what a copy leaves behind. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pkg.apis.flow.v1alpha1 import people
from pkg.apis.flow.v1alpha1.labels import SCHEDULED
from pkg.apis.flow.v1alpha1.types import API_VERSION, GROUP

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
#: Marks of programs that manage the original. One of them would delete or change a copy that it does not know.
_OF_MANAGERS: Final = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "argocd.argoproj.io/",
    "meta.helm.sh/",
    "helm.toolkit.fluxcd.io/",
    "kustomize.toolkit.fluxcd.io/",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/instance",
    f"{GROUP}/",
)
#: Fields that steer one run. A copy is a run of its own.
_OF_A_RUN: Final = ("suspend", "shutdown", "restart", "approvals")


class ParameterFault(ValueError):
    """A parameter that is not written as `name=value`, or whose name is none."""


def parse_parameters(given: Iterable[str]) -> dict[str, str]:
    """`name=value` as a mapping; the last one of a name counts. Raises ParameterFault."""
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign:
            raise ParameterFault(f'"{text}" is no parameter: write name=value')
        check_parameter_name(name)
        found[name] = value
    return found


def check_parameter_name(name: str) -> None:
    """Raises ParameterFault."""
    if not _NAME.match(name):
        raise ParameterFault(
            f'"{name[:63]}" is no name of a parameter: letters, digits, "_", "-" and ".", and a letter or "_" first'
        )


def with_parameters(manifest: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """A Workflow whose spec.parameters have the given values; those it does not list are added. It may be faulty."""
    spec = manifest.get("spec")
    if not given or not isinstance(spec, dict):
        return dict(manifest)
    return {**manifest, "spec": {**spec, "parameters": merged_parameters(spec.get("parameters"), given)}}


def merged_parameters(listed: Any, given: Mapping[str, str]) -> list[Any]:
    """A list of parameters in its order, with the given values; names that it lacks come last."""
    left = dict(given)
    found = []
    for parameter in listed if isinstance(listed, list) else []:
        name = parameter.get("name") if isinstance(parameter, dict) else None
        if isinstance(name, str) and name in left:
            parameter = {**parameter, "value": left.pop(name)}
        found.append(parameter)
    return found + [{"name": name, "value": value} for name, value in left.items()]


def copy_of(
    workflow: Mapping[str, Any], *, name: str = "", parameters: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A manifest that runs a workflow anew, made from the object in the cluster.

    name: of the copy; without one the API server adds five characters to that of the original, or to the generateName
    that it was made with. Owners, finalizers, status, the people behind it, and marks of programs that manage the
    original stay behind; so do suspend, shutdown and restart. The scheduled time stays: it is the one that the copy is
    for, and its jobs may name it.
    """
    meta = workflow["metadata"]
    metadata: dict[str, Any] = {"namespace": meta["namespace"]}
    if name:
        metadata["name"] = name
    else:
        metadata["generateName"] = meta.get("generateName") or f"{meta['name']}-"
    for field in ("labels", "annotations"):
        kept = {key: value for key, value in (meta.get(field) or {}).items() if not _stays_behind(key)}
        if kept:
            metadata[field] = kept
    spec = {key: value for key, value in workflow["spec"].items() if key not in _OF_A_RUN}
    copied = {"apiVersion": API_VERSION, "kind": "Workflow", "metadata": metadata, "spec": spec}
    return with_parameters(copied, parameters or {})


def _stays_behind(key: str) -> bool:
    return key in people.ANNOTATIONS or (key != SCHEDULED and key.startswith(_OF_MANAGERS))
