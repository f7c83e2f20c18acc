"""Finds the pod templates in an object of any kind and adds labels and environment variables to them.

Every function here changes the object that it is given (`{apiVersion, kind, metadata, spec}`, maps and lists): pass a
deep copy, never a cached object. A part of a wrong type is left as it is; the API server refuses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pkg.workloads import paths
from pkg.workloads.model import KindRow, Place


def pod_templates(row: KindRow, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The pod templates in the object, as mutable maps with `metadata` and `spec`; for a Pod the object itself."""
    found = [
        template
        for path in row.pod_templates
        for template in paths.select(paths.parse(path), body)
        if isinstance(template, dict)
    ]
    if row.any_template:
        found.extend(_search(body.get("spec")))
    return found


def _search(root: Any) -> Iterator[dict[str, Any]]:
    """Every value under a key `template` that is a pod template; not the ones inside such a value."""
    left = [root]  # a list, not recursion: a spec may be nested deeply
    while left:
        node = left.pop()
        if isinstance(node, list):
            left.extend(reversed(node))
        elif isinstance(node, dict):
            for key, value in reversed(node.items()):
                if key == "template" and _is_pod_template(value):
                    yield value
                else:
                    left.append(value)


def _is_pod_template(value: Any) -> bool:
    spec = value.get("spec") if isinstance(value, dict) else None
    return isinstance(spec, dict) and isinstance(spec.get("containers"), list)


def inject(row: KindRow, body: dict[str, Any], *, labels: Mapping[str, str], env: Mapping[str, str]) -> None:
    """Add labels and environment variables to every pod that the object will create.

    Labels go into each pod template, and into the object's selector where its pods must match one. Variables go into
    every container and init container, before the user's variables, so that these can refer to them. A variable of the
    same name is replaced.
    """
    for template in pod_templates(row, body):
        _add(_child(template, "metadata"), "labels", labels)
        spec = template.get("spec")
        if isinstance(spec, dict):
            for field in ("initContainers", "containers"):
                containers = spec.get(field)
                for container in containers if isinstance(containers, list) else ():
                    _add_env(container, env)
    for place in row.labels:
        for holder in _maps_at(place, body):
            _add(holder, "labels", labels)
    for place in row.env:
        for holder in _maps_at(place, body):
            _add_env(holder, env)
    if row.match_labels:
        for holder, key in paths.slots(paths.parse(row.match_labels), body, create=True):
            _add(holder, key, labels)


def _maps_at(place: Place, body: dict[str, Any]) -> list[Any]:
    path = paths.parse(place.path)
    if place.create:
        return [_child(holder, key) for holder, key in paths.slots(path, body, create=True)]
    return paths.select(path, body)


def _child(holder: dict[str, Any], key: str) -> Any:
    """The value under a key; an empty map is added where it is missing or null."""
    if holder.get(key) is None:
        holder[key] = {}
    return holder[key]


def _add(holder: Any, key: str, entries: Mapping[str, str]) -> None:
    if isinstance(holder, dict):
        known = _child(holder, key)
        if isinstance(known, dict):
            known.update(entries)


def _add_env(container: Any, env: Mapping[str, str]) -> None:
    if not isinstance(container, dict):
        return
    own = container.get("env")
    if own is not None and not isinstance(own, list):
        return
    kept = [item for item in own or () if not (isinstance(item, dict) and item.get("name") in env)]
    container["env"] = [{"name": name, "value": value} for name, value in env.items()] + kept
