"""Kubeconfig files, read and merged as kubectl merges them: the first file that names a thing wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pkg.kube.credentials import ConfigError

_SECTIONS: Mapping[str, str] = {"cluster": "clusters", "context": "contexts", "user": "users"}


class Entry(msgspec.Struct, frozen=True):
    """A named cluster, context or user, and its file; relative paths start at the folder of that file."""

    kind: str
    name: str
    fields: dict[str, Any]
    file: Path

    @property
    def where(self) -> str:
        return f"{self.file}: {_SECTIONS[self.kind]}[{self.name}].{self.kind}"

    @property
    def folder(self) -> Path:
        return self.file.absolute().parent

    def get(self, field: str) -> object:
        return self.fields.get(field)

    def text(self, field: str) -> str:
        """A text field, empty if absent; ConfigError if it is not text."""
        value = self.fields.get(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise ConfigError(f"{self.where}.{field} is {value!r}; it must be text")
        return value

    def resolve(self, path: str) -> Path:
        return self.folder / Path(path).expanduser()


class Merged(msgspec.Struct, frozen=True):
    """All entries of all files, by kind and name."""

    origin: str
    files: tuple[Path, ...]
    current: str
    entries: dict[tuple[str, str], Entry]

    def context(self, name: str = "") -> Entry:
        """The context of that name, else the current one; ConfigError if it does not exist, or none is current."""
        if name:
            return self.entry("context", name, "--context")
        if not self.current:
            raise ConfigError(
                f"{self._names()}: current-context is not set; run kubectl config use-context NAME, or set the field"
            )
        return self.entry("context", self.current, f"{self._names()}: current-context")

    def entry(self, kind: str, name: str, where: str) -> Entry:
        """The entry of that name; ConfigError with `where`, the field that names it, and the names that exist."""
        found = self.entries.get((kind, name))
        if found is None:
            known = ", ".join(sorted(other for what, other in self.entries if what == kind)) or "none"
            raise ConfigError(f"{where} names the {kind} {name!r}, but there is no such {kind}; there is: {known}")
        return found

    def as_dict(self) -> dict[str, Any]:
        """The merged entries as one kubeconfig document."""
        document: dict[str, Any] = {"current-context": self.current}
        for kind, section in _SECTIONS.items():
            document[section] = [
                {"name": entry.name, kind: entry.fields} for entry in self.entries.values() if entry.kind == kind
            ]
        return document

    def _names(self) -> str:
        return ", ".join(map(str, self.files))


def merge(paths: Sequence[Path], origin: str) -> Merged:
    """Read and merge the files; missing ones are skipped. ConfigError if all are missing or one is invalid."""
    current = ""
    entries: dict[tuple[str, str], Entry] = {}
    present = [path for path in paths if path.exists()]
    if not present:
        raise ConfigError(f"{origin} names {', '.join(map(str, paths))}, but there is no such file")
    for path in present:
        document = _document(path)
        current = current or str(document.get("current-context") or "")
        for kind, section in _SECTIONS.items():
            for item in _items(document, section, path):
                fields = item.get(kind) or {}
                if not isinstance(fields, dict):
                    raise ConfigError(f"{path}: {section}[{item['name']}].{kind} must be a mapping")
                entries.setdefault((kind, item["name"]), Entry(kind, item["name"], fields, path))
    return Merged(origin, tuple(present), current, entries)


def _document(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the kubeconfig {path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not a kubeconfig: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is not a kubeconfig: it must be a mapping with clusters, contexts and users")
    return document


def _items(document: Mapping[str, Any], section: str, path: Path) -> list[dict[str, Any]]:
    items = document.get(section) or []
    if not isinstance(items, list) or not all(isinstance(i, dict) and isinstance(i.get("name"), str) for i in items):
        raise ConfigError(f"{path}: {section} must be a list of mappings, each with a name")
    return items
