"""Server-sent events. Each is encoded once, whoever gets it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

_encoder: Final = msgspec.json.Encoder()
#: Keeps a connection alive, and shows that it has broken; a browser passes it over.
HEARTBEAT: Final = b":\n\n"


def event(name: str, content: Any) -> bytes:
    """One event. JSON has no line ends, so its text is one line of data."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encoder.encode(content))


def encode(content: Any) -> bytes:
    """JSON."""
    return _encoder.encode(content)
