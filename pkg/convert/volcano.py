"""Volcano's JobFlow and JobTemplate."""

from __future__ import annotations

from typing import Any, Final

from pkg.convert.names import label
from pkg.convert.result import Object, head, metadata, work_template, workflow
from pkg.convert.source import Source
from pkg.convert.text import escaped

_PHASES: Final = {
    "Pending": "Pending",
    "Running": "Running",
    "Completed": "Completed",
    "Completing": "Completed",
    "Succeeded": "Completed",
    "Failed": "Failed",
    "Terminated": "Failed",
    "Terminating": "Failed",
    "Aborted": "Failed",
    "Aborting": "Failed",
}
_RETAIN: Final = {"retain": "retain", "delete": "delete"}


def job_template(source: Source) -> Object:
    """A JobTemplate as the WorkTemplate of the same name."""
    head(source)
    meta = metadata(source)
    spec = source.get("spec")
    job = {} if spec is None else _literal(spec.plain())
    found = work_template(
        meta.get("name", "unnamed"),
        {"gvr": {"group": "batch.volcano.sh", "version": "v1alpha1", "resource": "jobs"}, "jobSpec": job},
    )
    found["metadata"] = meta
    return found


def _literal(value: Any) -> Any:
    """A value whose strings have no variables of ours: JobTemplates have none."""
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, dict):
        return {escaped(str(key)): _literal(item) for key, item in value.items()}
    return value


def job_flow(source: Source) -> list[Object]:
    """A JobFlow as a Workflow."""
    head(source)
    meta = metadata(source)
    spec = source.get("spec")
    flows: list[Object] = []
    found: Object = {}
    if spec is not None:
        if (policy := spec.get("jobRetainPolicy")) is not None:
            if policy.word() in _RETAIN:
                found["jobRetainPolicy"] = _RETAIN[policy.text()]
            else:
                policy.lose("it is neither retain nor delete; the default is retain")
        names = {item.peek_text("name") for item in spec.list_of("flows")}
        flows = [_flow(item, names) for item in spec.list_of("flows")]
    return [workflow(meta, {**found, "flows": flows})]


def _flow(source: Source, names: set[str]) -> Object:
    found: Object = {}
    if (name := source.get("name")) is not None:
        template = name.text()
        found["name"] = label(template)
        if found["name"] != template:
            found["template"] = template
            name.check(f"the flow is named {found['name']}, which is a DNS label; its template keeps its name")
    if (patch := source.get("patch")) is not None and (inner := patch.get("jobSpec") or patch.get("spec")) is not None:
        found["patch"] = {"spec": _literal(inner.plain())}
    if (on := source.get("dependsOn")) is not None:
        depends: Object = {}
        if targets := [label(item.text()) for item in on.list_of("targets")]:
            depends["targets"] = targets
        probe = on.get("probe")
        if probe is not None and (probes := _probe(probe, names)):
            depends["probe"] = probes
        if depends:
            found["dependsOn"] = depends
        elif not on.fields():
            on.skip("empty")
    return found


def _probe(source: Source, names: set[str]) -> Object:
    found: dict[str, list[Object]] = {"httpGetList": [], "tcpSocketList": [], "taskStatusList": []}
    for key, items in found.items():
        for item in source.list_of(key):
            task = item.get("taskName")
            if task is None or task.word() not in names:
                item.lose("taskName is not the name of a flow of this JobFlow; name the flow whose pods are asked")
                continue
            asked: Object = {"taskName": label(task.text())}
            for field in ("port", "path", "scheme"):
                if (value := item.get(field)) is not None:
                    asked[field] = value.plain()
            if (header := item.get("httpHeader")) is not None:
                asked["httpHeader"] = header.plain()
            if (phase := item.get("phase")) is not None:
                if phase.word() not in _PHASES:
                    phase.lose("we have no such phase; docs/api.md lists those that a flow can wait for")
                    continue
                asked["phase"] = _PHASES[phase.text()]
                if asked["phase"] == "Running" or phase.word().endswith("ing"):
                    phase.check(f"read as {asked['phase']}, which stays true once it was")
            items.append(asked)
    return {key: items for key, items in found.items() if items}
