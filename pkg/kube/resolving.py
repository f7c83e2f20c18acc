"""Resolves host names within a deadline.

`getaddrinfo` blocks for as long as the name servers let it, and cannot be interrupted. So it runs in a thread that the
callers leave behind when their time is up, at most one per name. The last result serves while the name servers fail.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

_LOOK = 0.05
"""Seconds between two looks at whether the connection was cut meanwhile."""
_PATIENCE = 1.0
"""Seconds to wait for the name servers where an earlier result is known."""


class Address(NamedTuple):
    """An address to connect to, in the terms of `getaddrinfo`."""

    family: int
    kind: int
    protocol: int
    target: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


class Resolver:
    """Looks up the addresses of host names. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], _Lookup] = {}
        self._known: dict[tuple[str, int], list[Address]] = {}

    def resolve(
        self, host: str, port: int, deadline: float, is_cut: Callable[[], bool] = lambda: False
    ) -> list[Address]:
        """The addresses in the system's order of preference. OSError if there are none, or none in time.

        `is_cut` is polled while waiting, and ends the wait with ConnectionAbortedError.
        """
        if _is_literal(host):
            return _look_up(host, port)
        key = (host, port)
        with self._lock:
            known = self._known.get(key)
            lookup = self._running.get(key)
            if lookup is None:
                lookup = self._running[key] = _Lookup(host, port, self._done)
                lookup.start()
        wait_until = deadline if known is None else min(deadline, time.monotonic() + _PATIENCE)
        while not lookup.finished.wait(max(0.0, min(_LOOK, wait_until - time.monotonic()))):
            if is_cut():
                raise ConnectionAbortedError("the connection was cut")
            if time.monotonic() >= wait_until:
                break
        if lookup.found:
            return lookup.found
        if known is not None:
            return known
        if lookup.error is not None:
            raise OSError(f"cannot connect to {host!r}: {lookup.error}") from lookup.error
        raise OSError(f"cannot connect to {host!r}: the name servers gave no address in time")

    def _done(self, lookup: _Lookup) -> None:
        key = (lookup.host, lookup.port)
        with self._lock:
            self._running.pop(key, None)
            if lookup.found:
                self._known[key] = lookup.found


class _Lookup(threading.Thread):
    """One call of `getaddrinfo`, which may outlive those who wait for it."""

    def __init__(self, host: str, port: int, on_done: Callable[[_Lookup], None]) -> None:
        super().__init__(name=f"resolve {host}", daemon=True)
        self.host = host
        self.port = port
        self.finished = threading.Event()
        self.found: list[Address] = []
        self.error: Exception | None = None
        self._on_done = on_done

    def run(self) -> None:
        try:
            self.found = _look_up(self.host, self.port)
        except (OSError, ValueError) as error:  # ValueError: a name that is impossible in DNS
            self.error = error
        finally:
            self._on_done(self)
            self.finished.set()


def _look_up(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [Address(family, kind, protocol, target) for family, kind, protocol, _, target in found]
    if not addresses:
        raise OSError(f"the name {host!r} has no address")
    return list(dict.fromkeys(addresses))


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
