"""Argo's `resource` templates: the object that they make becomes the job of a WorkTemplate of its kind."""

from __future__ import annotations

import re
from typing import Any, Final

from pkg.convert.result import Object
from pkg.convert.source import Source
from pkg.convert.text import Words, escaped
from pkg.views.manifests.documents import read_documents
from pkg.views.manifests.nodes import ManifestError

_ACTIONS: Final = {"create": None, "apply": "Apply", "delete": "Delete"}
_CLAUSE: Final = re.compile(r"\s*([A-Za-z0-9_.\[\]-]+)\s*(==|=|!=|>=|<=|>|<|in)\s*(.+?)\s*")
_OPERATORS: Final = {"==": "eq", "=": "eq", "!=": "ne", ">": "gt", ">=": "ge", "<": "lt", "<=": "le"}
_IRREGULAR: Final = {"endpoints": "endpoints", "ingress": "ingresses", "storageclass": "storageclasses"}


def plural(kind: str) -> str:
    """The resource of a kind, as almost all kinds are called."""
    name = kind.lower()
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    if name.endswith(("s", "x", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}s"


def resource_template(source: Source, words: Words) -> Object | None:
    """The spec of a WorkTemplate; None if there is no manifest that could be read."""
    action = source.get("action")
    how = "create" if action is None else action.word()
    if how not in _ACTIONS:
        assert action is not None
        action.lose(
            f"there is no action {how}; a Job that runs kubectl can do it, with the rights of its ServiceAccount"
        )
        how = "create"
    elif action is not None:
        action.plain()
    manifest = source.get("manifest")
    found = None if manifest is None else _manifest(manifest, words)
    if found is None:
        return None
    group, _, version = str(found.get("apiVersion", "")).rpartition("/")
    meta = found.get("metadata") or {}
    kind = str(found.get("kind", ""))
    spec: Object = {"gvr": {**({"group": group} if group else {}), "version": version, "resource": plural(kind)}}
    kept: Object = {key: meta[key] for key in ("labels", "annotations") if meta.get(key)}
    assert manifest is not None
    if _ACTIONS[how]:
        spec["action"] = _ACTIONS[how]
        if meta.get("name"):
            kept["name"] = meta["name"]
        else:
            manifest.lose(f"action {spec['action']} needs metadata.name, which the manifest does not have")
    elif meta.get("name") or meta.get("generateName") or meta.get("namespace"):
        manifest.check("jobs are named by the Workflow and its flow, and are made in its namespace")
    if kept:
        spec["metadata"] = kept
    body = {key: value for key, value in found.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    if set(body) <= {"spec"}:
        spec["jobSpec"] = body.get("spec", {})
    else:
        spec["jobSpec"] = body
        if "spec" in body:
            manifest.check("of the fields beside spec only those are kept that a kind without spec has")
    rules = _rules(source)
    if rules:
        spec["statusRules"] = rules
    source.skip_fields("setOwnerReference", why="every job is owned by its Workflow")
    source.lose_fields(
        {
            "mergeStrategy": "patches of objects in the cluster are not there; action Apply is",
            "flags": "flags of kubectl are not there",
            "manifestFrom": "write the manifest itself",
        }
    )
    return spec


def _manifest(source: Source, words: Words) -> dict[str, Any] | None:
    text = source.text()
    try:
        documents = list(read_documents("manifest", text))
    except ManifestError as error:
        source.lose(f"it is no YAML before its variables are put in: {error}")
        return None
    if len(documents) != 1 or not isinstance(documents[0].raw, dict):
        source.lose("it is not one object")
        return None
    found: dict[str, Any] = _converted(documents[0].raw, words, source)
    return found


def _converted(value: Any, words: Words, source: Source) -> Any:
    if isinstance(value, str):
        return words.convert(value, source)
    if isinstance(value, list):
        return [_converted(item, words, source) for item in value]
    if isinstance(value, dict):
        return {escaped(str(key)): _converted(item, words, source) for key, item in value.items()}
    return value


def _rules(source: Source) -> Object:
    found: Object = {}
    for key, ours in (("successCondition", "ok"), ("failureCondition", "fail")):
        condition = source.get(key)
        if condition is None:
            continue
        clauses = [_clause(part) for part in condition.word().split(",")]
        if any(clause is None for clause in clauses):
            condition.lose("write it as statusRules of the template: docs/kinds.md describes them")
            continue
        condition.plain()
        kept = [clause for clause in clauses if clause is not None]
        found[ours] = [kept[0] if len(kept) == 1 else {"all": kept}]
    return found


def _clause(text: str) -> Object | None:
    match = _CLAUSE.fullmatch(text)
    if match is None:
        return None
    path, operator, value = match.groups()
    if operator == "in":
        return {"path": path, "in": [item.strip() for item in value.strip("()").split(",")]}
    plain: Any = value.strip("\"'")
    if re.fullmatch(r"-?[0-9]+", plain):
        number = int(plain)
        if operator in ("==", "="):
            return {"path": path, "eq": number}
        return {"cel": f"has(object.{path}) && object.{path} {operator} {number}"}
    if operator in ("==", "="):
        return {"path": path, "eq": {"true": True, "false": False}.get(plain, plain)}
    if operator == "!=":
        return {"cel": f'has(object.{path}) && object.{path} != "{plain}"'}
    return None
