"""The table of kinds: rules.yaml, read and checked once, looked up by group, version and resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec
import yaml

from pkg.apis.meta import GVR
from pkg.workloads import name_limits, paths, pod_labels
from pkg.workloads.evaluator import reader
from pkg.workloads.model import KindRow, RuleError
from pkg.workloads.predicates import needs_whole

_PATH_COLUMNS = ("pod_templates", "scheduler_name", "queue", "volcano_queue", "ttl", "restart_policy")
_FIELD_COLUMNS = ("scheduler_name", "queue", "volcano_queue", "ttl", "restart_policy")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Registry:
    """The rows by resource, and the generic row for kinds without one.

    kinds: those that the shipped roles name, and those that are refused; by_resource has all others, too.
    """

    generic: KindRow
    kinds: tuple[KindRow, ...]
    by_resource: Mapping[tuple[str, str, str], KindRow]

    def row(self, gvr: GVR) -> KindRow:
        """The row for exactly this version, else the row for every version of the resource, else the generic row."""
        group, resource = gvr.group, gvr.resource
        rows = self.by_resource
        return rows.get((group, resource, gvr.version)) or rows.get((group, resource, "")) or self.generic


def load(text: str) -> Registry:
    """Read and check a table. Raises RuleError that names row and column."""
    try:
        document = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise RuleError(f"rules.yaml is not valid YAML: {error}") from error
    needed, allowed = {"generic", "kinds"}, {"shared", "generic", "kinds", "others"}
    if not isinstance(document, dict) or not needed <= document.keys() <= allowed:
        raise RuleError("rules.yaml has the keys shared, generic, kinds and others")
    generic = _row(document["generic"], "generic")
    kinds: list[KindRow] = []
    index: dict[tuple[str, str, str], KindRow] = {}
    listed = [(key, number, raw) for key in ("kinds", "others") for number, raw in enumerate(document.get(key, ()))]
    for section, number, raw in listed:
        label = raw.get("kind", "?") if isinstance(raw, dict) else "?"
        where = f"{section}[{number}] ({label})"
        row = _row(raw, where)
        key = (row.group, row.resource, row.version)
        if not row.resource:
            raise RuleError(f"{where}: resource is missing; name the plural, as in `jobs`")
        if key in index:
            raise RuleError(f"{where}: {'/'.join(key)} has a row already ({index[key].kind})")
        index[key] = row
        if section == "kinds":
            kinds.append(row)
    return Registry(generic, tuple(kinds), index)


def _row(raw: object, where: str) -> KindRow:
    try:
        row = msgspec.convert(raw, KindRow)
    except msgspec.ValidationError as error:
        raise RuleError(f"rules.yaml: {where}: {error}") from error
    for column in _PATH_COLUMNS:
        for path in getattr(row, column):
            _check_path(path, f"{where}: {column}", is_field=column in _FIELD_COLUMNS)
    for column in ("labels", "env"):
        for place in getattr(row, column):
            _check_path(place.path, f"{where}: {column}", is_field=place.create)
    for retry in row.own_retry:
        _check_path(retry.path, f"{where}: ownRetry", is_field=True)
    for column in ("plugins", "suspend", "match_labels"):
        if getattr(row, column):
            _check_path(getattr(row, column), f"{where}: {column}", is_field=True)
    if row.name.suffix and row.name.suffix not in name_limits.SUFFIXES:
        known = ", ".join(sorted(name_limits.SUFFIXES))
        raise RuleError(f"rules.yaml: {where}: name.suffix {row.name.suffix!r} is not a function; use one of {known}")
    for label, pattern in row.pods.selector.items():
        if "{" in pattern and pod_labels.PLACEHOLDER.fullmatch(pattern) is None:
            raise RuleError(
                f"rules.yaml: {where}: pods.selector: {label}: {pattern!r} is neither a plain value nor one of"
                " {name}, {uid}, {status.FIELD}"
            )
    reader(row)
    if needs_whole(row.rules):
        raise RuleError(
            f"rules.yaml: {where}: rules: a rule may read spec.replicas and spec.suspend, no other part of spec"
        )
    return row


def _check_path(text: str, where: str, *, is_field: bool) -> None:
    try:
        path = paths.parse(text)
    except paths.PathError as error:
        raise RuleError(f"rules.yaml: {where}: {error}") from error
    if is_field and not (path and isinstance(path[-1], str)):
        raise RuleError(f"rules.yaml: {where}: {text!r} ends in a wildcard; end it with the name of a field")


@lru_cache(maxsize=1)
def registry() -> Registry:
    """The table of the package, read once."""
    return load(resources.files("pkg.workloads").joinpath("rules.yaml").read_text("utf-8"))


def rules_for(gvr: GVR) -> KindRow:
    """The row for a resource; the generic row if it has none."""
    return registry().row(gvr)
