"""JSON Schemas for kubeconform, from the OpenAPI documents of an API server. Pure: documents in, schemas out.

They are strict: a field that the API server does not know is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = dict[str, Any]

LOCATION = "{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json"
"""Where kubeconform finds the schema of a kind, below the folder."""

_PREFIX = "#/components/schemas/"


def path_of(api_version: str, kind: str) -> str:
    """LOCATION for a kind. kubeconform takes the version for the group of the core kinds, which have none."""
    group, _, version = api_version.rpartition("/")
    return f"{group or version}/{kind.lower()}_{version}.json"


def schemas(document: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    """Path (see LOCATION) and schema of every kind in one OpenAPI document."""
    known: Mapping[str, Schema] = document.get("components", {}).get("schemas", {})
    for schema in known.values():
        for gvk in schema.get("x-kubernetes-group-version-kind", ()):
            definitions: dict[str, Schema] = {}
            root = _strict(schema, known, definitions)
            api_version = f"{gvk['group']}/{gvk['version']}" if gvk["group"] else gvk["version"]
            yield (
                path_of(api_version, gvk["kind"]),
                {**root, "$schema": "http://json-schema.org/draft-07/schema#", "definitions": definitions},
            )


def _strict(schema: Any, known: Mapping[str, Schema], definitions: dict[str, Schema]) -> Any:
    """A copy without unknown fields, whose references lead to `definitions`, which it fills."""
    if isinstance(schema, list):
        return [_strict(item, known, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made: Schema = {}
    for key, value in schema.items():
        if key == "$ref":
            name = str(value).removeprefix(_PREFIX)
            if name not in definitions:
                definitions[name] = {}
                definitions[name] = _strict(known[name], known, definitions)
            made[key] = f"#/definitions/{name}"
        elif key == "properties":
            made[key] = {name: _strict(field, known, definitions) for name, field in value.items()}
        elif key not in ("default", "example"):
            made[key] = _strict(value, known, definitions)
    if "properties" in made and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made
