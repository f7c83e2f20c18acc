"""A dashboard in this process, and a client of it that speaks as a browser does."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pkg.dashboard.options import options_of
from pkg.dashboard.process import Dashboard
from pkg.kube.config import load_config

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Browser:
    """Asks a dashboard; `headers` go with every request."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, *, method: str = "GET", body: Any = None, **headers: str) -> Answer:
        """One request. Keywords are headers, `x_csrf_token` for `x-csrf-token`."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            if method != "GET":
                named.setdefault("origin", f"http://{HOST}:{self.port}")
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {**self.headers, **named})
            got = connection.getresponse()
            return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The JSON that a page reads."""
        found = self.ask(path)
        assert found.status == 200, (found.status, found.body[:2000])
        return found.json

    @contextmanager
    def stream(self, path: str) -> Iterator[Stream]:
        """The events of a stream, which is read in a thread."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=120)
        connection.request("GET", path, headers=self.headers)
        got = connection.getresponse()
        assert got.status == 200, got.read()
        found = Stream(got)
        try:
            yield found
        finally:
            found.close()
            connection.close()


class Stream:
    """Server-sent events as they come."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self._changed = threading.Condition()
        self.events: list[tuple[str, Any]] = []
        self.has_ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def close(self) -> None:
        """End it, from this side."""
        file = self._response.fp
        if file is not None:
            with contextlib.suppress(OSError):
                socket.fromfd(file.fileno(), socket.AF_INET, socket.SOCK_STREAM).shutdown(socket.SHUT_RDWR)

    def wait(self, name: str, seconds: float = 90.0, count: int = 1) -> Any:
        """What the count-th event of this name carries, as soon as it has come."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                found = [content for each, content in self.events if each == name]
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                assert left > 0, f"no {name} within {seconds:.0f} s, but {[each for each, _ in self.events]}"
                assert not self.has_ended, f"the stream ended after {[each for each, _ in self.events]}"
                self._changed.wait(left)

    def wait_end(self, seconds: float = 30.0) -> None:
        """Until the other side has ended it."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.has_ended, seconds), "the stream did not end"

    def _read(self) -> None:
        name = ""
        try:
            for line in self._response:
                text = line.decode().rstrip("\n")
                if text.startswith("event: "):
                    name = text.removeprefix("event: ")
                elif text.startswith("data: "):
                    with self._changed:
                        self.events.append((name, json.loads(text.removeprefix("data: "))))
                        self._changed.notify_all()
        except (OSError, ValueError, AttributeError):
            pass  # closed from this side
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()


@contextmanager
def serving(kubeconfig: Path, *arguments: str) -> Iterator[Browser]:
    """A dashboard on a free port."""
    dashboard = Dashboard(options_of("--port=0", *arguments), load_config(str(kubeconfig)))
    dashboard.start()
    try:
        yield Browser(dashboard.port)
    finally:
        dashboard.stop()
