"""The formats of -o that are for programs: JSON, YAML and names, as kubectl prints them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import click
import msgspec

_Verb = TypeVar("_Verb", bound=Callable[..., Any])
NAMES: Final = "name"
OBJECTS: Final = ("json", "yaml")


def output_option(*formats: str) -> Callable[[_Verb], _Verb]:
    """The option -o with these formats."""
    return click.option(
        "-o", "--output", "form", type=click.Choice(formats), default=None, help="Format. Default: columns for people."
    )


def shown(found: Any, form: str) -> str:
    """An object, or a list of objects, as `json` or `yaml`."""
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(found), indent=4).decode()
    from pkg.views.manifests.writing import as_yaml

    return as_yaml(found).removesuffix("\n")


def as_list(objects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The List that kubectl prints for several objects."""
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": list(objects)}
