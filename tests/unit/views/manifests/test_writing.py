"""What is written as YAML is read as the same values, by kubectl as by us."""

from __future__ import annotations

import pytest

from pkg.cli.formats import shown
from pkg.views.manifests.nodes import value_of
from pkg.views.manifests.writing import as_yaml
from pkg.views.manifests.yaml_text import read_yaml

WORDS = (
    "y",
    "N",
    "yes",
    "Off",
    "true",
    "null",
    "~",
    "",
    "1e3",
    "1_0e3",
    "12e4567",
    "0o17",
    "017",
    "1_000",
    ".5",
    ".inf",
    "1:30",
)


@pytest.mark.parametrize("text", [*WORDS, "a b", "- x", "a: b", "line\nline\n", "2026-01-01", "yEs"])
def test_a_text_stays_a_text(text: str) -> None:
    tree = {"value": text, "list": [text], text: "of a key"}
    for written in (as_yaml(tree), shown(tree, "yaml")):
        (read,) = read_yaml(written)
        assert value_of(read) == tree


def test_other_values_stay_what_they_are() -> None:
    assert as_yaml({"a": True, "b": 3, "c": None, "d": "text", "e": "y"}) == "a: true\nb: 3\nc: null\nd: text\ne: 'y'\n"
