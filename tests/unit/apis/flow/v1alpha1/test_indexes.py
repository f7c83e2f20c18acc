"""Ranges of indexes that do not come from this program."""

from __future__ import annotations

import pytest

from pkg.apis.flow.v1alpha1.indexes import pack_indexes, unpack_indexes


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("0-9999999999", id="more indexes than a flow has tasks"),
        pytest.param(",".join(["0-5000"] * 3), id="more indexes in several ranges"),
        pytest.param("a-b", id="no numbers"),
    ],
)
def test_a_text_that_is_no_list_of_ranges_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"indexes|invalid literal"):
        unpack_indexes(text)


def test_as_many_indexes_as_a_workflow_has_tasks() -> None:
    assert unpack_indexes(pack_indexes(range(10_000))) == list(range(10_000))
