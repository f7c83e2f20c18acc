"""YAML and JSON become the values that kubectl would send, and every field has its line and column."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pkg.views.manifests.documents import Document, read_documents
from pkg.views.manifests.nodes import ManifestError


def documents(text: str, file: str = "f") -> list[Document]:
    return list(read_documents(file, text))


def values(text: str) -> list[Any]:
    return [document.raw for document in documents(text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("a: 2026-01-02", {"a": "2026-01-02"}, id="a date is text"),
        pytest.param("a: 1:30", {"a": "1:30"}, id="1:30 is text"),
        pytest.param(
            "a: 0x1f\nb: 010\nc: 0o10\nd: -0b11\ne: 1_000", {"a": 31, "b": 8, "c": 8, "d": -3, "e": 1000}, id="integers"
        ),
        pytest.param("a: 1e3\nb: .5\nc: -1.25", {"a": 1000.0, "b": 0.5, "c": -1.25}, id="fractions"),
        pytest.param("a: 1_0e3\nb: +1_0.5\nc: 09_1", {"a": 10000.0, "b": 10.5, "c": 91.0}, id="fractions with _"),
        pytest.param("a: 12e4567", {"a": "12e4567"}, id="a commit that looks like a fraction"),
        pytest.param("a: 089", {"a": 89.0}, id="digits that are no octal number are a fraction, as kubectl reads them"),
        pytest.param(
            "a: yes\nb: Off\nc: 'no'\nd: y\ne: N\nf: yEs",
            {"a": True, "b": False, "c": "no", "d": True, "e": False, "f": "yEs"},
            id="true and false",
        ),
        pytest.param("a:\nb: ~\nc: ''", {"a": None, "b": None, "c": ""}, id="null and the empty text"),
        pytest.param("1: a\ntrue: b\nnull: c", {"1": "a", "true": "b", "null": "c"}, id="keys are text"),
        pytest.param("a: !!str 1\nb: !!int '2'\nc: !!binary aGk=", {"a": "1", "b": 2, "c": "aGk="}, id="tags"),
        pytest.param("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}, id="an alias"),
        pytest.param(
            "a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}",
            {"a": {"b": 1, "c": 2}, "d": {"b": 3, "c": 2}},
            id="a merge, over which own keys win",
        ),
        pytest.param(
            "a: &x {b: 1}\ne: &y {b: 2, c: 2}\nd: {<<: [*x, *y]}",
            {"a": {"b": 1}, "e": {"b": 2, "c": 2}, "d": {"b": 1, "c": 2}},
            id="a merge of several, the first of which wins",
        ),
        pytest.param("a: |\n  x\n  y\n", {"a": "x\ny\n"}, id="a block of text"),
        pytest.param(
            '{"a": "\\ud83d\\ude00\\/", "b": [1, 2.5, true, null, {}]}',
            {"a": "😀/", "b": [1, 2.5, True, None, {}]},
            id="JSON",
        ),
        pytest.param("{a: 1, b: [x]}", {"a": 1, "b": ["x"]}, id="YAML that begins with a brace"),
        pytest.param("\N{ZERO WIDTH NO-BREAK SPACE}a: 1", {"a": 1}, id="a byte order mark"),
    ],
)
def test_values(text: str, value: Any) -> None:
    found = values(text)
    assert found == [value]
    assert json.dumps(found[0]) == json.dumps(value)  # 1, 1.0 and true are equal in Python


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("a: 1\n---\n---\n# nothing\n---\nb: 1\n", 2, id="empty documents are left out"),
        pytest.param("", 0, id="nothing at all"),
        pytest.param("kind: List\nitems: [{a: 1}, {b: 1}]", 2, id="the items of a List"),
        pytest.param("kind: List\nitems: []", 0, id="an empty List"),
        pytest.param("kind: List\nitems: x", 1, id="a List without a list"),
        pytest.param('{"a": 1}\n{"b": 1}', 2, id="JSON objects one after the other"),
        pytest.param("&x {a: 1}\n---\na: 1\n", 2, id="an anchor ends with its document"),
    ],
)
def test_documents(text: str, number: int) -> None:
    assert len(documents(text)) == number


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        pytest.param("a: 1\na: 2", "2:1", 'the key "a" occurs twice', id="a key that occurs twice"),
        pytest.param('{"a": 1, "a": 2}', "1:10", 'the key "a" occurs twice', id="a key that occurs twice in JSON"),
        pytest.param("a: [1,\n  b: }", "2:6", "no YAML", id="broken YAML"),
        pytest.param("a:\n\t- b", "2:1", "this is a tab: indent with spaces", id="a tab"),
        pytest.param("a: 1\nb: 'x\ny", "3:2", "which begins at 2:4", id="a quote that never ends"),
        pytest.param("a: {{params.n}}", "1:5", "begins with a brace in quotes", id="braces without quotes"),
        pytest.param("[a]: 1", "1:1", "a key must be text", id="a list as a key"),
        pytest.param("a: !env X", "1:4", "the tag !env", id="a tag of another program"),
        pytest.param("a: !!set {b}", "1:4", "the tag !!set", id="a tag that JSON has no value for"),
        pytest.param("a: !!int x", "1:4", "is not what its tag !!int says", id="a value that is not what its tag says"),
        pytest.param("a: *x", "1:4", "no anchor is named &x", id="an alias without an anchor"),
        pytest.param("a: &x 1\n---\nb: *x", "3:4", "no anchor is named &x", id="an anchor of another document"),
        pytest.param("a: &x [*x]", "1:8", "inside its own anchor", id="an alias in its own anchor"),
        pytest.param("a: &x\n  <<: *x", "2:3", "merges an object into itself", id="a merge into itself"),
        pytest.param("a: {<<: 3}", "1:5", "<< takes an object", id="a merge of a number"),
        pytest.param("é: \x07", "1:4", "U+0007", id="a control character"),
        pytest.param("[" * 400, "1:301", "nested too deeply", id="nested too deeply"),
        pytest.param(
            '{"a":' * 400 + "1" + "}" * 400, "1:1501", "nested too deeply", id="JSON that is nested too deeply"
        ),
    ],
)
def test_faults(text: str, at: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        values(text)
    assert str(caught.value.at) == at
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        pytest.param('{"a": 1,\n "b" 2}', "2:6", "no JSON: expecting ':' delimiter", id="broken JSON"),
        pytest.param('{"a": NaN}', "1:1", "it has no NaN", id="a number that JSON does not have"),
        pytest.param('{"a": 1}\n{"b', "2:2", "no JSON", id="the second object"),
    ],
)
def test_faults_of_a_json_file_are_those_of_json(text: str, at: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        documents(text, "f.json")
    assert str(caught.value.at) == at
    assert message in caught.value.message


def test_aliases_of_aliases_are_refused_before_they_fill_the_memory() -> None:
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [
        f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
    ]
    with pytest.raises(ManifestError, match=r"^6:\d+: with its aliases this document has more than 1,000,000 values"):
        values("\n".join(lines))


PLACES = """a:
  b.c/d:
    - x: 1
      y: &y {z: 1}
    - *y
  b: {c: 2, <<: *y}
"""


@pytest.mark.parametrize(
    ("path", "at"),
    [
        pytest.param("", "1:1", id="the document"),
        pytest.param("a", "1:1", id="a key"),
        pytest.param("a.b.c/d[0].x", "3:7", id="a key with dots, written plainly"),
        pytest.param('a["b.c/d"][0].x', "3:7", id="a key with dots, in brackets"),
        pytest.param("a.b.c", "6:7", id="a key of which another key with dots is a longer one"),
        pytest.param("a.b.c/d[1]", "5:7", id="an alias in a list: its own place"),
        pytest.param("a.b.c/d[1].z", "4:14", id="what is inside an alias: the place at the anchor"),
        pytest.param("a.b.z", "4:14", id="what << brings"),
        pytest.param("a.b.c/d[0].q", "3:7", id="a key that is not there: the item around it"),
        pytest.param("a.b.c/d[7].q", "2:3", id="an item that is not there: the list"),
        pytest.param("q", "1:1", id="nothing of it is there"),
        pytest.param("a.bb", "1:1", id="a key that only begins alike"),
    ],
)
def test_places(path: str, at: str) -> None:
    (document,) = documents(PLACES)
    assert str(document.place(path)) == at
