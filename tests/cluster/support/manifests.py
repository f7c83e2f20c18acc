"""Small manifests, written as values."""

from __future__ import annotations

from typing import Any

from tests.cluster.support.history import Object

API = "flow.workflow.sh/v1alpha1"
JOBS = {"group": "batch", "version": "v1", "resource": "jobs"}


def template(name: str, *, parameters: dict[str, str] | None = None, **simulated: str) -> Object:
    """A WorkTemplate of Jobs of one pod; keywords are sim.workflow.sh annotations, `run_for` meaning `run-for`."""
    notes = {f"sim.workflow.sh/{key.replace('_', '-')}": value for key, value in simulated.items()}
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36", "command": ["true"]}]}
    spec: Object = {
        "gvr": JOBS,
        "jobSpec": {"backoffLimit": 0, "template": {"metadata": {"annotations": notes}, "spec": pod}},
    }
    if parameters:
        spec["parameters"] = [{"name": key, "value": value} for key, value in parameters.items()]
    return {"apiVersion": API, "kind": "WorkTemplate", "metadata": {"name": name}, "spec": spec}


def custom(name: str, group: str, resource: str) -> Object:
    """A WorkTemplate of an empty custom resource, version v1."""
    spec = {"gvr": {"group": group, "version": "v1", "resource": resource}, "jobSpec": {}}
    return {"apiVersion": API, "kind": "WorkTemplate", "metadata": {"name": name}, "spec": spec}


def workflow(name: str, *flows: Object, **spec: Any) -> Object:
    """A Workflow of these flows."""
    return {
        "apiVersion": API,
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"flows": list(flows), **spec},
    }


def flow(name: str, after: str = "", *, of: str = "step", **fields: Any) -> Object:
    """A flow of the template `of`, after the flows named in `after`, separated by blanks."""
    made: Object = {"name": name, "template": of, **fields}
    if after:
        made["dependsOn"] = {"targets": after.split()}
    return made


def chain(*names: str, of: str = "step") -> list[Object]:
    """Flows that follow each other."""
    return [flow(name, before, of=of) for name, before in zip(names, ("", *names[:-1]), strict=True)]


def crd(group: str, kind: str) -> Object:
    """A namespaced custom resource of any shape, with a status subresource; the plural adds an s."""
    name = kind.lower()
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{name}s.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": f"{name}s", "singular": name, "kind": kind, "listKind": f"{kind}List"},
            "versions": [version],
        },
    }
