"""Which requests are answered at all: the address that they name, and the page that they come from. Pure.

A page of another origin must neither read from the dashboard nor make it act, also if its name was rebound to the
dashboard's address (DNS rebinding): so every request has to name a host that the dashboard was told to be.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

# host:port as browsers write it: a name, or an address of IPv6 in brackets. Nothing else of a URL.
_AUTHORITY: Final = re.compile(r"(?:\[(?P<address>[0-9a-fA-F:.]+)\]|(?P<name>[A-Za-z0-9._-]+?)\.?)(?::[0-9]{0,5})?")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
#: Sent with every answer. No script, style or picture comes from anywhere else, and none is part of a document.
HEADERS: Final[tuple[tuple[str, str], ...]] = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
)


class Refused(Exception):
    """The request is not answered; the message says why, and what would be right."""


def check(headers: Mapping[str, str], hosts: Collection[str], *, is_write: bool, is_page: bool = True) -> None:
    """Raises Refused. headers: by lower-case name; hosts: that the dashboard has beside those of loopback.

    is_page: it is shown as a page. Other sites may link to pages, and to nothing that calls the API server.
    """
    name = host_of(headers.get("host", ""))
    if name not in _LOOPBACK and name not in hosts:
        shown = headers.get("host", "")[:100]
        raise Refused(
            f"the dashboard does not answer for the host {shown!r}; if that is its name, start it with "
            "--allowed-host=NAME"
        )
    origin = headers.get("origin", "")
    if origin and _authority(origin) != headers.get("host", "").lower():
        raise Refused("a page of another origin may not ask the dashboard")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not (
        is_page and _is_navigation(headers)
    ):
        raise Refused("a page of another site may not ask the dashboard")
    if is_write and not origin:
        raise Refused("a request that changes something needs an Origin header")


def _is_navigation(headers: Mapping[str, str]) -> bool:
    """Somebody follows a link from another site, which shows a page and gives that site nothing."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def host_of(authority: str) -> str:
    """The host of `host:port`, in lower case and without brackets; empty if that is something else."""
    found = _AUTHORITY.fullmatch(authority)
    return (found["address"] or found["name"]).lower() if found is not None else ""


def _authority(origin: str) -> str:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach an address to listen on."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False
