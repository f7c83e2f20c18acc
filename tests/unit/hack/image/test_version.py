from __future__ import annotations

import pytest

from hack.image.version import Source, tag


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        pytest.param("v1.2.3", "1.2.3", id="a tagged commit has the version"),
        pytest.param("v1.2.3-4-gabc1234", "1.2.3-4-gabc1234", id="a later commit counts from the tag"),
        pytest.param("v1.2.3-dirty", "1.2.3-dirty", id="a changed tree says so"),
        pytest.param("abc1234", "0.9.0-gabc1234", id="without a tag the version of the code is used"),
        pytest.param("", "0.9.0", id="without git too"),
        pytest.param("v1.2.3+local", "1.2.3-local", id="a character that tags may not have becomes a hyphen"),
    ],
)
def test_tag(described: str, expected: str) -> None:
    assert tag(described, "0.9.0") == expected


def test_the_time_of_the_commit_is_written_as_the_labels_want_it() -> None:
    assert Source("1", "r", 86_400).created == "1970-01-02T00:00:00Z"
