"""Paths of outputs lead to one value, and say where they end if there is none."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.workloads.output_paths import NoValue, find, parse, show
from pkg.workloads.paths import PathError

OBJECT: dict[str, Any] = {
    "status": {
        "a": {"b-c": 1.5},
        "list": [{"name": "x", "value": "first"}, {"name": "y", "of": {"kind": "z"}, "value": [1, 2]}, 7],
        "none": None,
        "text": "t",
        "my/key": True,
    }
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("status.a.b-c", 1.5, id="names"),
        pytest.param("status.list[0].value", "first", id="an item by its index"),
        pytest.param("status.list[?(@.name=='y')].value", [1, 2], id="an item by a field"),
        pytest.param('status.list[?( @.of.kind == "z" )].value[1]', 2, id="an item by a field inside"),
        pytest.param("status['my/key']", True, id="a key in brackets"),
        pytest.param("status.list[2]", 7, id="an item that is no object"),
    ],
)
def test_a_path_leads_to_a_value(path: str, value: Any) -> None:
    assert find(parse(path), OBJECT) == value


@pytest.mark.parametrize(
    ("path", "why"),
    [
        pytest.param("status.b", "there is no status.b", id="a missing key"),
        pytest.param("status.text.b", "status.text is a text, no object", id="a key of a text"),
        pytest.param("status.a[0]", "status.a is an object, no list", id="into a list that is none"),
        pytest.param("status.list[9]", "status.list has 3 items, and none at [9]", id="past the end"),
        pytest.param("status.list[?(@.name=='q')]", "status.list has no item with name 'q'", id="no such item"),
        pytest.param("status.none", "status.none is null", id="null"),
        pytest.param("status.none.x", "status.none is null, no object", id="below null"),
    ],
)
def test_a_path_says_where_it_ends(path: str, why: str) -> None:
    with pytest.raises(NoValue) as caught:
        find(parse(path), OBJECT)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("", id="empty"),
        pytest.param(".status", id="a leading dot"),
        pytest.param("status..a", id="two dots"),
        pytest.param("status[*]", id="every item"),
        pytest.param("status[-1]", id="a negative index"),
        pytest.param("status[?(@.a>1)]", id="another comparison"),
        pytest.param("a" * 513, id="too long"),
    ],
)
def test_what_is_no_path(path: str) -> None:
    with pytest.raises(PathError):
        parse(path)


def test_a_path_is_shown_as_it_is_written() -> None:
    for text in ("status.list[0].value", "status.list[?(@.name=='y')].value", "status['my/key']"):
        assert show(parse(text)) == text
