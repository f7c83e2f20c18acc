"""Passes TCP connections on: `python -m hack.cluster.containers.forwarder LISTEN-HOST:PORT TO-HOST:PORT`.

It stands for kube-proxy, for the one Service address that pods need: that of the API server, which listens on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

_CHUNK = 65_536


def address(text: str) -> tuple[str, int]:
    """Host and port of `host:port`."""
    host, _, port = text.rpartition(":")
    return host, int(port)


async def serve(listen: tuple[str, int], to: tuple[str, int]) -> asyncio.Server:
    """Listens on `listen`; each connection gets one of its own to `to`, and both end together. OSError if it cannot."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            further_reader, further_writer = await asyncio.open_connection(*to)
        except OSError:  # the API server is being restarted: the client tries again
            writer.transport.abort()
            return
        await asyncio.gather(_copy(reader, further_writer), _copy(further_reader, writer))

    return await asyncio.start_server(connected, *listen)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    # The other direction may go on only if this end was orderly; a TLS connection ends as a whole.
    writer.close()


async def main(listen: str, to: str) -> None:
    """Never returns."""
    server = await serve(address(listen), address(to))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
