"""Every path in the table exists in the real schema of its kind, where a copy of that schema is at hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pkg.workloads import KindRow, paths, registry
from pkg.workloads.model import Predicate

CRDS = Path(__file__).parents[4] / "shared" / "crds"
ROWS = [row for row in registry().kinds if not row.refused]
BUILT_IN = {"", "apps", "batch", "flow.workflow.sh"}


@cache
def schema_of(path: Path, version: str) -> dict[str, Any]:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    versions = yaml.load(path.read_text("utf-8"), Loader=loader)["spec"]["versions"]
    chosen = [entry for entry in versions if entry["name"] == version] or versions
    schema: dict[str, Any] = chosen[0]["schema"]["openAPIV3Schema"]
    return schema


def resolves(schema: dict[str, Any], path: paths.Path) -> bool:
    """Whether the schema has a place for the path; a part that keeps unknown fields has a place for anything."""
    for step in path:
        if schema.get("x-kubernetes-preserve-unknown-fields"):
            return True
        if step is paths.Each.ITEM:
            following = schema.get("items")
        elif step is paths.Each.VALUE:
            following = schema.get("additionalProperties")
        else:
            following = schema.get("properties", {}).get(step)
            if (
                following is None
                and schema.get("type") == "object"
                and isinstance(schema.get("additionalProperties"), dict)
            ):
                following = schema["additionalProperties"]
        if not isinstance(following, dict):
            return False
        schema = following
    return True


def _rule_paths(predicates: tuple[Predicate, ...]) -> list[str]:
    found = []
    for predicate in predicates:
        if predicate.path:
            found.append(predicate.path)
        if predicate.cond:
            found.append("status.conditions[*].type")
        found.extend(_rule_paths(predicate.all_ or ()))
    return found


def _paths_of(row: KindRow) -> dict[str, list[str]]:
    """Column to paths; a default that a kind does not have is no claim of the table."""
    default = KindRow(kind="")
    columns = {f"rules.{key}": _rule_paths(getattr(row.rules, key)) for key in row.rules.__struct_fields__}
    for column in ("pod_templates", "scheduler_name", "queue", "volcano_queue", "ttl", "restart_policy"):
        columns[column] = list(getattr(row, column))
    for column in ("reason", "message"):
        columns[column] = [] if getattr(row, column) == getattr(default, column) else list(getattr(row, column))
    for column in ("plugins", "suspend", "match_labels"):
        columns[column] = [getattr(row, column)] if getattr(row, column) else []
    columns["labels"] = [f"{place.path}.labels" for place in row.labels]
    columns["env"] = [f"{place.path}.env[*].name" for place in row.env]
    columns["ownRetry"] = [retry.path for retry in row.own_retry]
    columns["podTemplates.spec"] = [f"{path}.spec.containers[*].env" for path in row.pod_templates]
    columns["selector"] = [
        pattern.strip("{}") for pattern in row.pods.selector.values() if pattern.startswith("{status.")
    ]
    return columns


@pytest.mark.parametrize(
    "row", ROWS, ids=[f"{row.resource}.{row.version + '.' if row.version else ''}{row.group}" for row in ROWS]
)
def test_every_path_exists_in_the_real_schema(row: KindRow) -> None:
    if row.group in BUILT_IN:
        pytest.skip("no custom resource of somebody else's")
    path = CRDS / f"{row.group}_{row.resource}.yaml"
    if not path.exists():
        pytest.skip(f"no copy of its schema: {path.name}")
    if row.version == "v2beta1":
        pytest.skip("the copy is of MPIJob v1; both versions share one name")
    schema = schema_of(path, row.version)
    missing = {
        column: [text for text in texts if not resolves(schema, paths.parse(text))]
        for column, texts in _paths_of(row).items()
    }
    assert {column: texts for column, texts in missing.items() if texts} == {}
