"""Objects as YAML text, for people to read and for kubectl to take."""

from __future__ import annotations

from typing import Any, Final

import yaml

from pkg.views.manifests.yaml_text import plain

_BASE: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_BASE):  # type: ignore[misc]
    """Texts of several lines are written as such, and nothing is an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, text: str) -> Any:
    style = "|" if "\n" in text and not any(line.endswith((" ", "\t")) for line in text.split("\n")) else None
    if style is None and not isinstance(plain(text), str):
        style = "'"  # PyYAML itself writes y and 1e3 without quotes, which kubectl takes for a boolean and a number
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(tree: Any) -> str:
    """The YAML of an object, with its keys in their order; ends with a line break."""
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)
    return text
