"""What a conversion gives: our objects, and what became of every field of the input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pkg.apis.flow.v1alpha1.types import API_VERSION
from pkg.convert.source import Account, Finding, Source

Object = dict[str, Any]

_SERVER_FIELDS: Final = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
)
_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(slots=True)
class Result:
    """objects: templates before the Workflows that use them; accounts: one for each document of the input."""

    objects: list[Object] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        return [finding for account in self.accounts for finding in account.findings()]


def metadata(source: Source, name: str | None = None) -> Object:
    """The metadata of our object from that of a document. name: another name than the document has."""
    found: Object = {}
    meta = source.get("metadata")
    if meta is None:
        return {"name": name or "unnamed"}
    for key in ("name", "generateName", "namespace"):
        if (value := meta.get(key)) is not None:
            found[key] = value.text()
    if name is not None:
        found.pop("generateName", None)
        found["name"] = name
    if (labels := meta.get("labels")) is not None:
        found["labels"] = labels.plain()
    if (annotations := meta.get("annotations")) is not None:
        kept = {}
        for annotation in annotations.fields():
            if annotation.key == _APPLIED:
                annotation.skip("kubectl's own memory")
            else:
                kept[annotation.key] = annotation.text()
        if kept:
            found["annotations"] = kept
        elif not annotations.fields():
            annotations.skip("empty")
    meta.skip_fields(*_SERVER_FIELDS, why="the API server sets it")
    meta.lose_fields(
        {
            "ownerReferences": "the owner owned the old object",
            "finalizers": "whoever removes it knows the old kind only",
        }
    )
    return {key: value for key, value in found.items() if value not in ("", {})}


def head(source: Source) -> None:
    """Accounts for what every object has: its kind, and a status, which is the old system's."""
    source.skip_fields("apiVersion", "kind", why="they say what is converted")
    source.skip_fields("status", why="the state of a run of the other system")
    kind = source.get("kind")
    if kind is not None and kind.word().startswith("Cluster"):
        kind.check("WorkTemplates belong to one namespace: apply them in each that uses them")


def work_template(name: str, spec: Mapping[str, Any], namespace: str = "") -> Object:
    """A WorkTemplate."""
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API_VERSION, "kind": "WorkTemplate", "metadata": meta, "spec": dict(spec)}


def workflow(meta: Object, spec: Object) -> Object:
    """A Workflow."""
    return {"apiVersion": API_VERSION, "kind": "Workflow", "metadata": meta, "spec": spec}


def job_template(pod_spec: Object, parameters: list[Object], pod_metadata: Object | None = None) -> Object:
    """The spec of a WorkTemplate that makes a batch Job of one pod, which is not tried again by the Job itself."""
    template: Object = {"metadata": pod_metadata} if pod_metadata else {}
    template["spec"] = {"restartPolicy": "Never", **pod_spec}
    found: Object = {"gvr": {"group": "batch", "version": "v1", "resource": "jobs"}}
    if parameters:
        found["parameters"] = parameters
    found["jobSpec"] = {"backoffLimit": 0, "template": template}
    return found
