"""The objects of a file, each with the place of every field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pkg.views.manifests.json_text import is_json, read_json
from pkg.views.manifests.nodes import (
    ManifestError,
    Mapping,
    Node,
    Position,
    Scalar,
    Sequence,
    entries_of,
    followed,
    value_of,
)
from pkg.views.manifests.places import place_of
from pkg.views.manifests.yaml_text import read_yaml


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file, or one item of a List. raw: its value, which may share parts with others."""

    file: str
    raw: Any
    node: Node

    def place(self, path: str) -> Position:
        """Line and column of a field, or of the nearest field around it."""
        return place_of(self.node, path)

    def at(self, path: str = "") -> str:
        """`file:line:column` of a field."""
        return f"{self.file}:{self.place(path)}"

    @property
    def kind(self) -> str:
        return str(self.raw.get("kind") or "") if isinstance(self.raw, dict) else ""

    @property
    def api_version(self) -> str:
        return str(self.raw.get("apiVersion") or "") if isinstance(self.raw, dict) else ""

    @property
    def metadata(self) -> dict[str, Any]:
        found = self.raw.get("metadata") if isinstance(self.raw, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def title(self) -> str:
        """`Workflow nightly`."""
        name = self.metadata.get("name") or self.metadata.get("generateName") or "without a name"
        return f"{self.kind or 'object without a kind'} {name}"


def read_documents(file: str, text: str) -> Iterator[Document]:
    """The documents of a text; `file` is its name in messages. The items of a List count as documents.

    Raises ManifestError where the text is neither YAML nor JSON, after the documents before that place.
    """
    for node in _nodes(file, text):
        raw = value_of(node)
        if isinstance(raw, dict) and raw.get("kind") == "List" and isinstance(raw.get("items"), list):
            yield from _items(file, node, raw["items"])
        else:
            yield Document(file, raw, node)


def _nodes(file: str, text: str) -> Iterator[Node]:
    text = text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    if not is_json(text):
        yield from read_yaml(text)
        return
    try:
        found = list(read_json(text))
    except ManifestError:
        if file.endswith(".json"):
            raise
        yield from read_yaml(text)  # YAML may begin with a brace too
        return
    yield from found


def _items(file: str, node: Node, items: list[Any]) -> Iterator[Document]:
    target = followed(node)
    assert isinstance(target, Mapping), "a List is an object"
    for key, value in entries_of(target):
        listed = followed(value)
        if isinstance(key, Scalar) and key.value == "items" and isinstance(listed, Sequence):
            for item, raw in zip(listed.items, items, strict=True):
                yield Document(file, raw, item)
