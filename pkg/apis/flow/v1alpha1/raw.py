"""JSON that stays bytes in the caches until it is used.

A decoded tree takes up to thirty times the memory of its text, and a manifest may have hundreds of thousands of nodes.
What is only needed to render a job or to compile a graph is therefore kept as `msgspec.Raw` and decoded on demand.
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

import msgspec

#: How many objects and lists may be inside each other. Kubernetes objects have less than 50 levels. The functions that
#: walk a tree recursively need up to two stack frames per level, and Python allows 1,000.
MAX_DEPTH: Final = 300
TOO_DEEP: Final = f"nested too deeply: objects and lists have more than {MAX_DEPTH} levels"

#: The value of a field that the manifest does not have. Compare with `is`.
ABSENT: Final = msgspec.Raw(b"")

T = TypeVar("T")


class RawError(ValueError):
    """Bytes that cannot be decoded into what their field should have; the message says why."""


class Decoder(Generic[T]):
    """Decodes a raw field into `type`. A field that is absent or null reads as the text `default`.

    Every call makes new objects, which the caller may change. Make decoders when a module is imported, not in threads:
    see pkg/kube/decoding.py.
    """

    def __init__(self, kind: type[T], default: bytes) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._default = default

    def __call__(self, raw: msgspec.Raw) -> T:
        """The decoded value. Raises RawError, also for what is nested too deeply."""
        if raw is ABSENT:
            return self._decoder.decode(self._default)
        try:
            decoded = self._decoder.decode(self._default if is_empty(raw) else raw)
        except RecursionError as error:
            raise RawError(TOO_DEEP) from error
        except msgspec.DecodeError as error:
            raise RawError(str(error)) from error
        if _may_be_deep(bytes(raw)) and is_too_deep(decoded):
            raise RawError(TOO_DEEP)
        return decoded


def is_empty(raw: msgspec.Raw) -> bool:
    """Whether the field is absent or null."""
    return raw is ABSENT or bytes(raw) in (b"", b"null")


def is_too_deep(tree: Any, limit: int = MAX_DEPTH) -> bool:
    """Whether more than `limit` objects and lists of a JSON tree are inside each other. Needs no stack."""
    if isinstance(tree, msgspec.Struct):
        tree = msgspec.structs.astuple(tree)
    level = [tree] if isinstance(tree, dict | list | tuple) else []
    for _ in range(limit):
        level = [
            inner
            for node in level
            for inner in (node.values() if type(node) is dict else node)
            if type(inner) is dict or type(inner) is list or type(inner) is tuple
        ]
        if not level:
            return False
    return True


def encode(tree: Any) -> bytes:
    """The JSON text of a tree. Raises RawError for what JSON cannot hold, and for what is nested too deeply."""
    try:
        text = msgspec.json.encode(tree)
    except RecursionError as error:
        raise RawError(TOO_DEEP) from error
    except UnicodeEncodeError as error:
        raise RawError("a string has half of a surrogate pair, which is no character") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise RawError(f"cannot be written as JSON: {error}") from error
    if _may_be_deep(text) and is_too_deep(tree):
        raise RawError(TOO_DEEP)
    return text


def _may_be_deep(text: bytes) -> bool:
    """Whether there are enough brackets for more than MAX_DEPTH levels; far cheaper than a look at the tree."""
    return len(text) > MAX_DEPTH and text.count(b"{") + text.count(b"[") > MAX_DEPTH
