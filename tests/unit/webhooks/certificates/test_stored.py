"""The Secret's content through every step of a rotation, and content that somebody has damaged."""

from __future__ import annotations

import pytest

from pkg.webhooks.certificates.issue import Issued, authorities, issue
from pkg.webhooks.certificates.plan import Generation, Issue, NoteTrust, Retire, Swap
from pkg.webhooks.certificates.stored import Stored, changed, decode, encode

NAMES = frozenset({"a"})
FIRST = changed(decode({}), Issue(NAMES, is_first=True), issue(NAMES, 100.0, 900.0), 100.0)
COMING = changed(FIRST, Issue(NAMES, is_first=False), issue(NAMES, 200.0, 900.0), 200.0)
TRUSTED = changed(COMING, NoteTrust(is_trusted=True), None, 300.0)
SWAPPED = changed(TRUSTED, Swap(), None, 400.0)
RETIRED = changed(SWAPPED, Retire(), None, 500.0)


def authority(pair: tuple[Issued, Generation] | None) -> str:
    assert pair is not None
    return pair[1].authority


@pytest.mark.parametrize(
    "stored", [FIRST, COMING, TRUSTED, SWAPPED, RETIRED], ids=["first", "coming", "trusted", "swapped", "retired"]
)
def test_what_is_stored_is_read_as_it_was_written(stored: Stored) -> None:
    assert encode(decode(encode(stored))) == encode(stored)
    assert decode(encode(stored)).state({}) == stored.state({})


def test_a_rotation_keeps_every_ca_that_may_be_in_use() -> None:
    old, new = authority(FIRST.serving), authority(COMING.next)
    assert [list(each.trusted or {}) for each in (FIRST, COMING, TRUSTED, SWAPPED, RETIRED)] == [
        [old],
        [old, new],
        [old, new],
        [new, old],
        [new],
    ]
    assert (COMING.serving, SWAPPED.serving) == (FIRST.serving, COMING.next)
    assert (TRUSTED.next_trusted_at, SWAPPED.next_trusted_at, SWAPPED.swapped_at) == (300.0, None, 400.0)
    assert (COMING.retired, SWAPPED.retired, RETIRED.retired) == ((), (old,), ())
    assert list(authorities(encode(SWAPPED)["ca.crt"])) == [new, old]


def test_a_next_generation_that_is_replaced_leaves_no_ca_behind() -> None:
    again = changed(COMING, Issue(NAMES, is_first=False), issue(NAMES, 300.0, 900.0), 300.0)
    assert set(again.trusted or {}) == {authority(FIRST.serving), authority(again.next)}


@pytest.mark.parametrize("key", ["tls.crt", "tls.key", "ca.crt"])
def test_a_certificate_that_is_damaged_counts_as_none(key: str) -> None:
    found = decode({**encode(FIRST), key: b"damaged"})
    assert found.serving is None


@pytest.mark.parametrize("key", ["next.crt", "next.key", "next-trusted-at", "swapped-at"])
def test_damage_elsewhere_leaves_the_certificate_in_use(key: str) -> None:
    found = decode({**encode(TRUSTED), key: b"\xffdamaged"})
    assert found.serving == FIRST.serving
    assert found.next_trusted_at is None or key == "swapped-at"


def test_a_step_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        changed(FIRST, Swap(), None, 1.0)
