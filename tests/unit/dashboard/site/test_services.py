"""What may be part of a path of the API server."""

from __future__ import annotations

import pytest

from pkg.dashboard.site.services import Fault, object_name


@pytest.mark.parametrize("text", ["w", "w-1.example", "0", "a" * 253])
def test_a_name(text: str) -> None:
    assert object_name(text, "the pod") == text


@pytest.mark.parametrize("text", ["", "a/proxy/x", "..", ".", "a%2fb", "a?b", "a" * 254, "A", "a\n"])
def test_what_is_no_name_is_refused_with_what_it_is(text: str) -> None:
    with pytest.raises(Fault, match="the pod is"):
        object_name(text, "the pod")
