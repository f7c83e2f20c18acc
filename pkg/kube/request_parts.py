"""Paths, queries and bodies of requests, from names and values that may be anything."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from pkg.apis.meta import GVR
from pkg.kube.errors import Refused

# No part is `.` or `..`.
_PATH: Final = re.compile(r"(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9_.:~-]++)++")
#: Characters of the path of a collection; group, resource and namespace can have 253, 63 and 63.
_MAX_REMEMBERED: Final = 512


def query_of(**fields: str) -> str:
    """The query of a URL; fields that are empty are left out."""
    found = {name: value for name, value in fields.items() if value}
    return urlencode(found) if found else ""


def _write_query(field_validation: str, dry_run: bool) -> str:
    return query_of(fieldValidation=field_validation, dryRun="All" if dry_run else "")


# The query of a write. There are few, each for many calls.
query_of_write = functools.lru_cache(maxsize=32)(_write_query)


def path_of(gvr: GVR, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
    """The path of a collection, an object or its subresource.

    Raises Refused for a name that no object can have: an empty one would lead to the collection, and one with a slash
    to a subresource or to an object of another kind.
    """
    try:
        base = _collection(gvr, namespace)
    except ValueError:
        base = checked_path(gvr.path(namespace))
    if name is None:
        return base
    rest = f"/{name}/{subresource}" if subresource else f"/{name}"
    if _PATH.fullmatch(rest) is None or "/" in name:
        raise Refused(f"{name!r} is not the name of an API object", reason="InvalidName")
    return base + rest


def _plain_collection(gvr: GVR, namespace: str | None) -> str:
    path = gvr.path(namespace)
    if len(path) > _MAX_REMEMBERED or _PATH.fullmatch(path) is None:
        raise ValueError("not remembered")
    return path


# Paths of collections that were asked for lately, already checked. What raises is not remembered: a namespace that a
# user makes up can have any length, and must not stay in memory.
_collection = functools.lru_cache(maxsize=4096)(_plain_collection)


def checked_path(path: str) -> str:
    """The path, if it is plain. Names come from users and must not lead to another URL or add a header line."""
    if _PATH.fullmatch(path) is None:
        raise Refused(f"{path!r} is not the path of an API object", reason="InvalidPath")
    return path


def body_of(body: bytes | Mapping[str, Any]) -> bytes:
    """The JSON of a body. Raises Refused for what JSON cannot hold."""
    try:
        return body if isinstance(body, bytes) else msgspec.json.encode(body)
    except RecursionError as error:
        raise Refused("the object is nested too deep to be encoded as JSON", reason="TooDeep") from error
    except UnicodeEncodeError as error:
        raise Refused(f"the object holds text that is not Unicode: {error}", reason="NotUnicode") from error
