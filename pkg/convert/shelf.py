"""What documents refer to by name: templates, Tasks and Pipelines of all files."""

from __future__ import annotations

from dataclasses import dataclass, field

from pkg.convert.source import Source, object_in, text_of


@dataclass(slots=True)
class Shelf:
    """Documents by kind, namespace and name. Of two with the same the first one is found."""

    _found: dict[tuple[str, str, str], Source] = field(default_factory=dict)

    def add(self, source: Source) -> None:
        """A document, which is found by what its metadata say."""
        document = source.account.document
        meta = object_in(document.metadata)
        key = document.kind, text_of(meta.get("namespace")), text_of(meta.get("name"))
        self._found.setdefault(key, source)

    def find(self, kind: str, namespace: str, name: str) -> Source | None:
        """The document in that namespace; else one without a namespace, or the only one of that kind and name."""
        for key in ((kind, namespace, name), (kind, "", name)):
            if key in self._found:
                return self._found[key]
        others = [source for (other, _, title), source in self._found.items() if (other, title) == (kind, name)]
        return others[0] if len(others) == 1 and not namespace else None

    def of(self, *kinds: str) -> list[Source]:
        """All documents of these kinds."""
        return [source for (kind, _, _), source in self._found.items() if kind in kinds]
