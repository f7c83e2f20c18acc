"""Connects to one of several addresses of a host, after the model of Happy Eyeballs (RFC 8305).

An address that is silent must not cost the whole deadline: the next one is tried after a moment, in parallel, and the
first that accepts wins. The address that worked last is tried first, and one that failed lately last.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest

from pkg.kube.resolving import Address, Resolver

_NEXT_AFTER = 0.25
"""Seconds after which the next address is tried (RFC 8305: Connection Attempt Delay)."""
_AVOIDED_SECONDS = 60.0
"""How long an address that failed is tried after the others."""


class Dialer:
    """Finds and orders the addresses of one host and port. Thread-safe.

    `failed` and `worked` report what became of an address; they decide the order of the next connections.
    """

    def __init__(self, host: str, port: int, resolver: Resolver | None = None) -> None:
        self.host = host
        self.port = port
        self._resolver = resolver or Resolver()
        self._worked: Address | None = None
        self._failed_at: dict[Address, float] = {}
        self._found: tuple[Address, ...] = ()

    def addresses(self, deadline: float, is_cut: Callable[[], bool] = lambda: False) -> list[Address]:
        """All addresses, the most promising first. OSError if there are none, or none in time."""
        found = self._resolver.resolve(self.host, self.port, deadline, is_cut)
        self._found = tuple(found)
        return order(found, self._worked, self._avoided())

    def has_others(self, address: Address) -> bool:
        """Whether the name had other addresses than this one when it was resolved last."""
        return any(other != address for other in self._found)

    def worked(self, address: Address) -> None:
        """A connection to the address was made."""
        self._worked = address
        self._failed_at.pop(address, None)

    def failed(self, address: Address) -> None:
        """A connection to the address failed, or fell silent."""
        if self._worked == address:
            self._worked = None
        self._failed_at[address] = time.monotonic()

    def _avoided(self) -> set[Address]:
        now = time.monotonic()
        return {address for address, at in tuple(self._failed_at.items()) if now - at < _AVOIDED_SECONDS}


def order(addresses: Sequence[Address], first: Address | None, avoided: Iterable[Address]) -> list[Address]:
    """The order to try addresses in: families take turns, then `first` goes to the front and `avoided` to the end."""
    families = list(dict.fromkeys(address.family for address in addresses))
    rows = [[address for address in addresses if address.family == family] for family in families]
    turns = [address for turn in zip_longest(*rows) for address in turn if address is not None]
    last = set(avoided)
    return sorted(turns, key=lambda address: (address in last, address != first))


class Race:
    """One connection attempt over several addresses, in one thread.

    `track(socket)` is called for each socket before it connects, so that another thread can shut it down; it raises
    OSError if no socket may be opened any more.
    """

    def __init__(self, addresses: Sequence[Address], deadline: float, track: Callable[[socket.socket], None]) -> None:
        self._left = list(addresses)
        self._deadline = deadline
        self._track = track
        self._delay = min(_NEXT_AFTER, max(0.0, deadline - time.monotonic()) / (len(addresses) + 1))
        self._open: dict[int, tuple[socket.socket, Address]] = {}
        self._poll = select.poll()
        self.failed: list[Address] = []
        self.slow: list[Address] = []
        """The addresses that were still silent when another one accepted."""

    def run(self) -> tuple[socket.socket, Address]:
        """The socket that connected first, and its address; all others are closed. OSError if none connects."""
        winner: tuple[socket.socket, Address] | None = None
        try:
            winner = self._run()
        finally:
            for sock, address in self._open.values():
                if winner is None or sock is not winner[0]:
                    self.slow.append(address)
                    sock.close()
        return winner

    def _run(self) -> tuple[socket.socket, Address]:
        error: OSError | None = None
        next_at = 0.0
        while self._left or self._open:
            now = time.monotonic()
            if now >= self._deadline:
                raise TimeoutError("no address accepted a connection within the deadline")
            if self._left and (not self._open or now >= next_at):
                next_at = now + self._delay
                try:
                    self._start(self._left.pop(0))
                except ConnectionAbortedError:
                    raise
                except OSError as failure:
                    error = failure
                    continue
            until = min(self._deadline, next_at) if self._left else self._deadline
            for descriptor, _ in self._poll.poll(max(0.0, until - time.monotonic()) * 1000 + 1):
                outcome = _outcome(self._open[descriptor][0])
                if outcome is None:
                    return self._open[descriptor]
                error, next_at = outcome, 0.0
                self._drop(descriptor)
        raise error or OSError("there is no address to connect to")

    def _start(self, address: Address) -> None:
        """Begin to connect. The kernel may lack the family (IPv6): that is a failure of this address alone."""
        try:
            sock = socket.socket(address.family, address.kind, address.protocol)
        except OSError:
            self.failed.append(address)
            raise
        try:
            self._track(sock)
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):  # it goes on in the background
                sock.connect(address.target)
        except OSError:
            self.failed.append(address)
            sock.close()
            raise
        self._open[sock.fileno()] = (sock, address)
        self._poll.register(sock, select.POLLOUT)

    def _drop(self, descriptor: int) -> None:
        sock, address = self._open.pop(descriptor)
        self.failed.append(address)
        with contextlib.suppress(KeyError, ValueError):
            self._poll.unregister(descriptor)
        sock.close()


def _outcome(sock: socket.socket) -> OSError | None:
    """Why a socket that has become writable is not connected; None if it is."""
    if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        return OSError(code, os.strerror(code))
    try:
        sock.getpeername()
    except OSError as error:
        return error
    return None
