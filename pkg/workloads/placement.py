"""Sets scheduler, queue, plugins and restart policy in the fields that a kind has for them, and removes its TTL.

Every function here changes the object that it is given (`{apiVersion, kind, metadata, spec}`): pass a deep copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pkg.workloads import paths
from pkg.workloads.injection import pod_templates
from pkg.workloads.model import KindRow

KUEUE_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
VOLCANO = "volcano"
# For pods that belong to no Volcano Job: the queue of the PodGroup that Volcano creates for them.
VOLCANO_QUEUE_ANNOTATION = "scheduling.volcano.sh/queue-name"


def place_scheduler(row: KindRow, body: dict[str, Any], scheduler: str) -> bool:
    """Set the scheduler's name. Returns False if the object has no field for it."""
    if row.scheduler_name:
        return _assign(row.scheduler_name, body, scheduler)
    placed = False
    for template in pod_templates(row, body):
        if template.get("spec") is None:
            template["spec"] = {}
        if isinstance(template["spec"], dict):
            template["spec"]["schedulerName"] = scheduler
            placed = True
    return placed


def place_queue(row: KindRow, body: dict[str, Any], queue: str, *, scheduler: str = "") -> bool:
    """Set the queue: in the kind's own field (Volcano Job), else as Kueue's label on the object.

    `scheduler` is the workflow's schedulerName. If it is volcano, the queue is also set on the pod templates and in the
    fields that the kind passes on to Volcano. Returns False if metadata.labels is not a map.
    """
    if row.queue:
        return _assign(row.queue, body, queue)
    if scheduler == VOLCANO:
        _assign(row.volcano_queue, body, queue)
        for template in pod_templates(row, body):
            _assign(("metadata.annotations",), template, {VOLCANO_QUEUE_ANNOTATION: queue})
    return _assign(("metadata.labels",), body, {KUEUE_QUEUE_LABEL: queue})


def place_plugins(row: KindRow, body: dict[str, Any], plugins: Mapping[str, Sequence[str]]) -> bool:
    """Add scheduler plugins to those of the object. Returns False if the kind has no field for them."""
    if not row.plugins:
        return False
    return _assign((row.plugins,), body, {name: list(arguments) for name, arguments in plugins.items()})


def default_restart_policy(row: KindRow, body: dict[str, Any]) -> None:
    """Set restartPolicy Never where it is unset and the kind's default would never complete or be refused."""
    for path in row.restart_policy:
        for holder, key in paths.slots(paths.parse(path), body, create=False):
            if holder.get(key) in (None, ""):
                holder[key] = "Never"


def strip_ttl(row: KindRow, body: dict[str, Any]) -> tuple[str, ...]:
    """Remove the fields by which the kind deletes finished jobs by itself. Returns the paths that were removed."""
    removed = []
    for path in row.ttl:
        for holder, key in paths.slots(paths.parse(path), body, create=False):
            if key in holder:
                del holder[key]
                removed.append(path)
    return tuple(dict.fromkeys(removed))


def _assign(places: Sequence[str], body: dict[str, Any], value: str | Mapping[str, Any]) -> bool:
    """Set every field in `places`; a map is merged into the existing one. Returns whether any was set."""
    placed = False
    for path in places:
        for holder, key in paths.slots(paths.parse(path), body, create=True):
            known = holder.get(key)
            if isinstance(value, str):
                holder[key] = value
            elif known is None:
                holder[key] = dict(value)
            elif isinstance(known, dict):
                known.update(value)
            else:
                continue
            placed = True
    return placed
