"""Reads the `Warning` headers of a response (RFC 7234, section 5.5): what the API server says besides the answer.

It warns about fields that it does not know, deprecated versions, and what an admission plugin objects to. The texts
come from other people's servers and manifests, so their number and length are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

MAX_WARNINGS: Final = 32
MAX_LENGTH: Final = 256

# A warn-code, an agent, the quoted text, and sometimes a quoted date.
_VALUE: Final = re.compile(r'\s*([0-9]{3})\s+\S+\s+"((?:[^"\\]|\\.)*+)"(?:\s+"[^"]*")?\s*(?:,|$)')
_MISCELLANEOUS: Final = frozenset({"199", "299"})
_PAIR: Final = re.compile(r"\\(.)")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]+")


def parse_warnings(value: str) -> tuple[str, ...]:
    """The different texts of a `Warning` header, in their order; several headers come joined by commas.

    At most MAX_WARNINGS texts of MAX_LENGTH characters. What is malformed ends the list. Codes for caches are left out.
    """
    found: dict[str, None] = {}
    at = 0
    while len(found) < MAX_WARNINGS and (matched := _VALUE.match(value, at)) is not None:
        at = matched.end()
        if matched[1] in _MISCELLANEOUS and (text := _plain(matched[2])):
            found[text] = None
    return tuple(found)


def _plain(quoted: str) -> str:
    """The text of a quoted string. Headers are decoded as Latin-1, but the API server writes UTF-8."""
    text = _PAIR.sub(r"\1", quoted).encode("latin-1", "replace").decode("utf-8", "replace")
    text = _UNPRINTABLE.sub(" ", text).strip()
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 3]}..."


def heard(on_warnings: Callable[[tuple[str, ...]], None] | None) -> Callable[[str], None] | None:
    """What takes the header `Warning`, and calls `on_warnings` with the texts in it; None without anybody to call."""
    return None if on_warnings is None else lambda value: on_warnings(parse_warnings(value))
