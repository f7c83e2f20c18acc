"""Argo's `synchronization` as mutexes and semaphores."""

from __future__ import annotations

import re
from typing import Final

from pkg.apis.flow.v1alpha1.types import DNS_SUBDOMAIN
from pkg.convert.result import Object
from pkg.convert.source import Source

_NAME: Final = re.compile(DNS_SUBDOMAIN)
_OTHER_NAMESPACE: Final = "locks are shared by the Workflows of one namespace"


def locks_of(source: Source) -> Object:
    """The fields of a flow, or of a Workflow, that hold its locks."""
    mutexes = [name for one in _both(source, "mutex", "mutexes") if (name := _mutex(one))]
    semaphores = [found for one in _both(source, "semaphore", "semaphores") if (found := _semaphore(one))]
    made: Object = {}
    if mutexes:
        made["mutexes"] = list(dict.fromkeys(mutexes))
    if semaphores:
        made["semaphores"] = [one for at, one in enumerate(semaphores) if one not in semaphores[:at]]
    return made


def _both(source: Source, one: str, several: str) -> list[Source]:
    alone = source.get(one)
    return [*([] if alone is None else [alone]), *source.list_of(several)]


def _mutex(source: Source) -> str:
    source.lose_fields({"namespace": _OTHER_NAMESPACE, "database": "a mutex is a Lease of the cluster"})
    name = source.get("name")
    if name is None:
        source.lose("it has no name")
        return ""
    if not _NAME.fullmatch(name.word()):
        name.lose("a mutex is named by small letters, digits, - and . alone, without variables")
        return ""
    return name.text()


def _semaphore(source: Source) -> Object | None:
    source.lose_fields(
        {
            "namespace": _OTHER_NAMESPACE,
            "database": "the number of places is a key of a ConfigMap",
            "selectors": "one key of one ConfigMap says how many places there are",
        }
    )
    reference = source.get("configMapKeyRef")
    if reference is None:
        return None
    reference.lose_fields({"optional": "without the ConfigMap, flows wait for it"})
    name, key = reference.get("name"), reference.get("key")
    if name is None or key is None:
        reference.lose("it names no key of a ConfigMap")
        return None
    if not _NAME.fullmatch(name.word()):
        name.lose("a ConfigMap is named without variables")
        return None
    return {"configMapKeyRef": {"name": name.text(), "key": key.text()}}
