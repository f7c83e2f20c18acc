"""Puts scheduler, queue and plugins where a kind keeps them, and settles what the kind would do on its own.

Every function here changes the object it is given (`{apiVersion, kind, metadata, spec}`): hand it a fresh deep copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pkg.workloads import paths
from pkg.workloads.model import KindRow
from pkg.workloads.templates import pod_templates

KUEUE_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
VOLCANO = "volcano"
# Of pods that no Volcano Job made: the queue of the PodGroup that Volcano makes for them.
VOLCANO_QUEUE_ANNOTATION = "scheduling.volcano.sh/queue-name"

_parse = lru_cache(maxsize=1024)(paths.parse)


def place_scheduler(row: KindRow, body: dict[str, Any], scheduler: str) -> bool:
    """Set the scheduler's name; False if the object has no place for one."""
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

    `scheduler` is the workflow's schedulerName; under volcano the queue goes as well to the pods, and to where a kind
    hands it on to Volcano. False if metadata has no usable labels.
    """
    if row.queue:
        return _assign(row.queue, body, queue)
    if scheduler == VOLCANO:
        _assign(row.volcano_queue, body, queue)
        for template in pod_templates(row, body):
            _assign(("metadata.annotations",), template, {VOLCANO_QUEUE_ANNOTATION: queue})
    return _assign(("metadata.labels",), body, {KUEUE_QUEUE_LABEL: queue})


def place_plugins(row: KindRow, body: dict[str, Any], plugins: Mapping[str, Sequence[str]]) -> bool:
    """Add scheduler plugins to those of the object; False if the kind has no place for them."""
    if not row.plugins:
        return False
    return _assign((row.plugins,), body, {name: list(arguments) for name, arguments in plugins.items()})


def default_restart_policy(row: KindRow, body: dict[str, Any]) -> None:
    """Never, where it is unset and the default could never complete or would be refused."""
    for path in row.restart_policy:
        for holder, key in paths.slots(_parse(path), body, create=False):
            if holder.get(key) in (None, ""):
                holder[key] = "Never"


def strip_ttl(row: KindRow, body: dict[str, Any]) -> tuple[str, ...]:
    """Remove the fields by which the kind deletes finished jobs by itself; returns the paths of those it removed."""
    removed = []
    for path in row.ttl:
        for holder, key in paths.slots(_parse(path), body, create=False):
            if key in holder:
                del holder[key]
                removed.append(path)
    return tuple(dict.fromkeys(removed))


def _assign(places: Sequence[str], body: dict[str, Any], value: str | Mapping[str, Any]) -> bool:
    """Set every field named; a map is merged into the one that is there."""
    placed = False
    for path in places:
        for holder, key in paths.slots(_parse(path), body, create=True):
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
