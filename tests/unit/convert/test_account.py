"""Nothing is dropped in silence: every value of the input is converted, or named as lost, or known to mean nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.convert.convert import convert
from pkg.convert.result import Result
from pkg.convert.source import Fate
from pkg.views.lint import lint
from pkg.views.manifests.writing import as_yaml

FILES = sorted((Path(__file__).parent / "manifests").glob("*.yaml"))
IDS = [file.stem for file in FILES]


def written(result: Result) -> str:
    return "---\n".join(as_yaml(made) for made in result.objects)


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_the_result_passes_lint(file: Path) -> None:
    result = convert({file.name: file.read_text()})
    assert result.objects
    assert [str(found) for found in lint({"result": written(result)}) if not found.is_warning] == []


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_every_finding_has_a_place_in_the_file(file: Path) -> None:
    lines = file.read_text().splitlines()
    for finding in convert({file.name: file.read_text()}).findings:
        line = lines[finding.at.line - 1]
        assert finding.at.column <= len(line)
        last = finding.path.split(".")[-1].split("[")[0].strip('"]')
        assert not last or last in line or finding.path.endswith("]"), str(finding)


Path_ = tuple[Any, ...]


def places(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every object, list and value, with the keys that lead to it."""
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from places(inner, (*path, at))


def parent_of(value: Any, path: Path_) -> Any:
    for key in path[:-1]:
        value = value[key]
    return value


WORD = "word0x"
DOCUMENTS = [list(yaml.safe_load_all(file.read_text())) for file in FILES]


@st.composite
def changed_files(draw: st.DrawFn) -> str:
    """A file with one value replaced by a word that occurs once, or with a field that nobody knows."""
    documents = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    inner = [
        (document, path, value)
        for document in documents
        for path, value in places(document)
        if len(path) >= 2 and path[0] != "apiVersion"
    ]
    document, path, value = draw(st.sampled_from(inner))
    if isinstance(value, dict):
        value[draw(st.sampled_from(["odd", "odd.key", "enabled", "timeout", "name", "when"]))] = WORD
    elif isinstance(value, list):
        value.append(draw(st.sampled_from([WORD, {"name": WORD}, [WORD]])))
    else:
        parent_of(document, path)[path[-1]] = draw(st.sampled_from([WORD, {"odd": WORD}, [WORD]]))
    return "---\n".join(as_yaml(document) for document in documents)


@settings(max_examples=100, deadline=None)
@given(changed_files())
def test_every_value_is_accounted_for(text: str) -> None:
    result = convert({"x": text})
    output = json.dumps(result.objects)
    leaves = [leaf for account in result.accounts for leaf in account.leaves()]
    lost = [(account.document.title, finding.path) for account in result.accounts for finding in account.findings()]
    assert len(leaves) == sum(len(list(values(doc))) for doc in yaml.safe_load_all(text))
    for account in result.accounts:
        for leaf in account.leaves():
            if leaf.fate is Fate.LOST:
                assert any(title == account.document.title and leaf.path.startswith(path) for title, path in lost), (
                    f"{leaf.path} is lost, and nothing says so"
                )
            elif leaf.fate is not Fate.MEANINGLESS and leaf.value == WORD:
                assert leaf.value in output, f"{leaf.path} counts as {leaf.fate}, and is not in the result"


def values(value: Any) -> Iterator[Any]:
    """The values at the ends of a document; an empty object or list is one."""
    if isinstance(value, dict | list) and value:
        for inner in value.values() if isinstance(value, dict) else value:
            yield from values(inner)
    else:
        yield value
