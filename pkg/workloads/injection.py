"""Finds the pod templates in an object of any kind and adds labels and environment variables to them.

Every function here changes the object that it is given (`{apiVersion, kind, metadata, spec}`, maps and lists): pass a
deep copy, never a cached object. A part of a wrong type is left as it is; the API server refuses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Key, Schema
from pkg.workloads import paths
from pkg.workloads.model import KindRow, Place

_CONTAINERS: Final = ("initContainers", "containers")

_Trail = tuple[Any, Key]
"""The place of a value: the trail of what it is in, and its key there. That of the spec is the empty tuple."""


def pod_templates(row: KindRow, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The pod templates in the object, as mutable maps with `metadata` and `spec`; for a Pod the object itself."""
    return [*_listed(row, body), *(template for template, _ in _found(row, body))]


def needs_schema(row: KindRow, body: dict[str, Any]) -> bool:
    """Whether the schema of the kind says what of ours its pod templates take."""
    return next(_found(row, body), None) is not None


def _listed(row: KindRow, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The pod templates where the row says that they are."""
    return [
        template
        for path in row.pod_templates
        for template in paths.select(paths.parse(path), body)
        if isinstance(template, dict)
    ]


def _found(row: KindRow, body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], _Trail]]:
    """Every value under a key `template` that is a pod template, with its place; not the ones inside such a value."""
    # A list, not recursion: a spec may be nested deeply.
    left: list[tuple[Any, Any]] = [(body.get("spec"), ())] if row.any_template else []
    while left:
        node, trail = left.pop()
        if isinstance(node, list):
            left.extend((value, (trail, at)) for at, value in reversed(list(enumerate(node))))
        elif isinstance(node, dict):
            for key, value in reversed(node.items()):
                if key == "template" and _is_pod_template(value):
                    yield value, (trail, key)
                else:
                    left.append((value, (trail, key)))


def _keys(trail: Any) -> list[Key]:
    keys: list[Key] = []
    while trail:
        trail, key = trail
        keys.append(key)
    return ["spec", *reversed(keys)]


def _is_pod_template(value: Any) -> bool:
    spec = value.get("spec") if isinstance(value, dict) else None
    return isinstance(spec, dict) and isinstance(spec.get("containers"), list)


def inject(
    row: KindRow,
    body: dict[str, Any],
    *,
    labels: Mapping[str, str],
    env: Mapping[str, str],
    schema: Schema = NO_SCHEMA,
) -> None:
    """Add labels and environment variables to every pod that the object will create.

    Labels go into each pod template, and into the object's selector where its pods must match one. Variables go into
    every container and init container, before the user's variables, so that these can refer to them. A variable of the
    same name is replaced. schema: of a kind without a row. What it has no field for is left out: the API server would
    drop it, and warn of a field that the user did not write, or refuse it.
    """
    for template in _listed(row, body):
        _add(_child(template, "metadata"), "labels", labels)
        for field in _CONTAINERS:
            _add_env_to_all(template, field, env)
    for template, trail in list(_found(row, body)):
        keys = _keys(trail)
        if all(schema.keeps([*keys, "metadata", "labels", name]) for name in labels):
            _add(_child(template, "metadata"), "labels", labels)
        for field in _CONTAINERS:
            if all(schema.keeps([*keys, "spec", field, 0, "env", 0, name]) for name in ("name", "value")):
                _add_env_to_all(template, field, env)
    for place in row.labels:
        for holder in _maps_at(place, body):
            _add(holder, "labels", labels)
    for place in row.env:
        for holder in _maps_at(place, body):
            _add_env(holder, env)
    if row.match_labels:
        for holder, key in paths.slots(paths.parse(row.match_labels), body, create=True):
            _add(holder, key, labels)


def _add_env_to_all(template: dict[str, Any], field: str, env: Mapping[str, str]) -> None:
    spec = template.get("spec")
    containers = spec.get(field) if isinstance(spec, dict) else None
    for container in containers if isinstance(containers, list) else ():
        _add_env(container, env)


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
