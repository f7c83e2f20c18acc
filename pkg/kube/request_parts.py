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

_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_.:~-]+)+")
_DOTS: Final = re.compile(r"/\.\.?(?:/|$)")


def query_of(**fields: str) -> str:
    """The query of a URL; fields that are empty are left out."""
    found = {name: value for name, value in fields.items() if value}
    return urlencode(found) if found else ""


def path_of(gvr: GVR, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
    """The path of a collection, an object or its subresource. Raises Refused for a name that no object can have."""
    if name is None and subresource is None:
        return _collection(gvr, namespace)
    return checked_path(gvr.path(namespace, name, subresource))


def _checked_collection(gvr: GVR, namespace: str | None) -> str:
    return checked_path(gvr.path(namespace))


# Paths of collections that were asked for lately, already checked.
_collection = functools.lru_cache(maxsize=512)(_checked_collection)


def checked_path(path: str) -> str:
    """The path, if it is plain. Names come from users and must not lead to another URL or add a header line."""
    if _PATH.fullmatch(path) is None or _DOTS.search(path):
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
