"""JSON split at its first level, whatever its depth."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.kube.json_depth import elements, members, pruned

DEEP = "[" * 5000 + "]" * 5000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("[]", [], id="an empty list"),
        pytest.param(' [1, "a,b" ,{"c": [1,2]}] ', ["1", '"a,b"', '{"c": [1,2]}'], id="commas in texts and below"),
        pytest.param('["\\"]", "}\\\\"]', ['"\\"]"', '"}\\\\"'], id="brackets and escapes in texts"),
        pytest.param(f"[{DEEP},{DEEP}]", [DEEP, DEEP], id="deeper than any decoder goes"),
    ],
)
def test_elements(text: str, found: list[str]) -> None:
    assert elements(text.encode()) == [part.encode() for part in found]


def test_members() -> None:
    document = {"a": {"b": [1, "}"]}, 'q"x': None, "metadata": {"name": "ü"}}
    found = members(json.dumps(document, indent=1).encode())
    assert {name: json.loads(value) for name, value in found.items()} == document
    assert members(f'{{"a": {DEEP}, "b":1}}'.encode()) == {"a": DEEP.encode(), "b": b"1"}
    assert members(b'{"\\x": 1, "b": 2}') == {"b": b"2"}


@pytest.mark.parametrize(
    ("text", "levels", "kept"),
    [
        pytest.param('{"a": [1, {"b": 2}], "c": "}"}', 3, '{"a": [1, {"b": 2}], "c": "}"}', id="as deep as allowed"),
        pytest.param('{"a": [1, {"b": 2}], "c": "}"}', 2, '{"a": [1, []], "c": "}"}', id="an object too deep"),
        pytest.param('{"a": [1, {"b": 2}], "c": [{}, 3]}', 1, '{"a": [], "c": []}', id="lists too deep"),
        pytest.param(f'{{"a": {DEEP}, "b": 1}}', 2, '{"a": [[]], "b": 1}', id="deeper than any decoder goes"),
    ],
)
def test_pruned(text: str, levels: int, kept: str) -> None:
    assert pruned(text.encode(), levels) == kept.encode()


TEXT = st.text(alphabet='ab"\\\\[]{},:ü', max_size=6)
TREES = st.recursive(
    st.one_of(st.none(), st.integers(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=40,
)


def cut(tree: Any, levels: int) -> Any:
    """What `pruned` leaves of a tree."""
    if isinstance(tree, list):
        return [cut(inner, levels - 1) for inner in tree] if levels else []
    if isinstance(tree, dict):
        return {name: cut(inner, levels - 1) for name, inner in tree.items()} if levels else []
    return tree


@given(TREES, st.integers(0, 5), st.booleans())
def test_pruned_leaves_any_json_as_it_is_but_for_the_levels_below(tree: Any, levels: int, is_ascii: bool) -> None:
    text = json.dumps(tree, ensure_ascii=is_ascii).encode()
    assert json.loads(pruned(text, levels)) == cut(tree, levels)


def test_a_long_string_costs_no_memory_beyond_its_own() -> None:
    """In a process of its own, because only the kernel sees what the regular expression engine takes."""
    script = """
import resource
from pkg.kube.json_depth import members, pruned
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
for text in (b"x" * 1_400_000, b'\\\\"' * 700_000):
    raw = b'{"' + text + b'":1,"a":"' + text + b'","b":' + b"[" * 5000 + b"]" * 5000 + b"}"
    before = peak()
    pruned(raw, 100)
    members(raw)
    assert peak() - before < 40, peak() - before
"""
    subprocess.run([sys.executable, "-c", script], check=True)
