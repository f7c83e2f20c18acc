"""Which requests are answered at all."""

from __future__ import annotations

import pytest

from pkg.dashboard.access.guard import HEADERS, Refused, check, is_loopback

HOSTS = frozenset({"flows.example.org"})
OWN = "http://127.0.0.1:8787"

ANSWERED: dict[str, tuple[dict[str, str], bool]] = {
    "a program": ({"host": "127.0.0.1:8787"}, False),
    "localhost": ({"host": "localhost:8787"}, False),
    "an address of IPv6": ({"host": "[::1]:8787"}, False),
    "a name that it was given": ({"host": "flows.example.org"}, False),
    "that name as browsers may write it": ({"host": "Flows.Example.org.:443"}, False),
    "the page itself": ({"host": "127.0.0.1:8787", "origin": OWN, "sec-fetch-site": "same-origin"}, False),
    "an address that somebody types": ({"host": "127.0.0.1:8787", "sec-fetch-site": "none"}, False),
    "a link on a page of another site": (
        {
            "host": "127.0.0.1",
            "sec-fetch-site": "cross-site",
            "sec-fetch-mode": "navigate",
            "sec-fetch-dest": "document",
        },
        False,
    ),
    "a change from the page itself": ({"host": "127.0.0.1:8787", "origin": OWN}, True),
}
REFUSED: dict[str, tuple[dict[str, str], bool]] = {
    "no host": ({}, False),
    "a name that was rebound to its address": ({"host": "evil.example:8787"}, False),
    "a name that only begins as it should": ({"host": "127.0.0.1.evil.example"}, False),
    "a host that is none": ({"host": "[::1"}, False),
    "a host with a user in front": ({"host": "evil.example@localhost"}, False),
    "a host with a path behind": ({"host": "localhost/evil.example"}, False),
    "a host with a fragment behind": ({"host": "localhost#.evil.example"}, False),
    "a host with two ports": ({"host": "localhost:80:80"}, False),
    "a page that no browser gets by HTTP": ({"host": "127.0.0.1:8787", "origin": "ftp://127.0.0.1:8787"}, False),
    "a page of another origin": ({"host": "127.0.0.1:8787", "origin": "http://evil.example"}, False),
    "a page of another port of this machine": ({"host": "127.0.0.1:8787", "origin": "http://127.0.0.1:9999"}, False),
    "a page without an origin": ({"host": "127.0.0.1:8787", "origin": "null"}, False),
    "a picture on a page of another site": (
        {
            "host": "127.0.0.1:8787",
            "sec-fetch-site": "cross-site",
            "sec-fetch-mode": "no-cors",
            "sec-fetch-dest": "image",
        },
        False,
    ),
    "a frame of another site": (
        {"host": "127.0.0.1", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        False,
    ),
    "a change without an origin": ({"host": "127.0.0.1:8787"}, True),
    "a change from another origin": ({"host": "127.0.0.1:8787", "origin": "http://evil.example"}, True),
}


@pytest.mark.parametrize(("headers", "is_write"), ANSWERED.values(), ids=ANSWERED.keys())
def test_answered(headers: dict[str, str], is_write: bool) -> None:
    check(headers, HOSTS, is_write=is_write)


@pytest.mark.parametrize(("headers", "is_write"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(headers: dict[str, str], is_write: bool) -> None:
    with pytest.raises(Refused):
        check(headers, HOSTS, is_write=is_write)


def test_another_site_may_link_to_a_page_and_to_nothing_else() -> None:
    link = {
        "host": "127.0.0.1:8787",
        "sec-fetch-site": "cross-site",
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }
    check(link, HOSTS, is_write=False, is_page=True)
    with pytest.raises(Refused):
        check(link, HOSTS, is_write=False, is_page=False)


def test_no_script_is_part_of_a_document_and_none_comes_from_elsewhere() -> None:
    policy = dict(HEADERS)["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert policy.startswith("default-src 'none';")


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("", False)],
)
def test_is_loopback(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected
