"""`Warning` headers as the API server, proxies and nobody in particular write them."""

from __future__ import annotations

import pytest

from pkg.kube.warning_headers import MAX_LENGTH, MAX_WARNINGS, parse_warnings

CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "a field that the API server does not know": (
        r'299 - "unknown field \"spec.backoffLimt\""',
        ('unknown field "spec.backoffLimt"',),
    ),
    "several, in their order": ('299 - "one", 299 - "two",299 - "three"', ("one", "two", "three")),
    "a comma and an escaped backslash inside a text": (r'299 - "a, \\ b", 299 - "c"', ("a, \\ b", "c")),
    "the same text twice": ('299 - "one", 299 - "one"', ("one",)),
    "an agent and a date": ('299 kube/1.33 "old" "Wed, 21 Oct 2015 07:28:00 GMT", 299 - "new"', ("old", "new")),
    "a code for caches": ('110 proxy "Response is stale", 299 - "mine"', ("mine",)),
    "no text": ('299 - ""', ()),
    "UTF-8, which a head is not decoded as": ('299 - "Größe"'.encode().decode("latin-1"), ("Größe",)),
    "bytes that are no UTF-8": ('299 - "\xff"', ("�",)),
    "control characters": ('299 - "a\x1b[31m\tb"', ("a [31m b",)),
    "a text without end": ('299 - "one", 299 - "two', ("one",)),
    "something else": ("be careful", ()),
    "nothing": ("", ()),
    "a long text is cut": (f'299 - "{"x" * 5000}"', ("x" * (MAX_LENGTH - 3) + "...",)),
    "many texts are cut": (
        ", ".join(f'299 - "{number}"' for number in range(1000)),
        tuple(map(str, range(MAX_WARNINGS))),
    ),
}


@pytest.mark.parametrize(("value", "texts"), CASES.values(), ids=CASES.keys())
def test_the_texts_of_a_header(value: str, texts: tuple[str, ...]) -> None:
    assert parse_warnings(value) == texts


def test_a_hostile_header_takes_no_quadratic_time() -> None:
    assert parse_warnings('299 - "' + "\\" * 60_001) == ()
    assert parse_warnings("299 -" + " " * 60_000) == ()
