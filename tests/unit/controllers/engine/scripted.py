"""A client whose answers are written down beforehand, for what no real server does on demand."""

# ruff: noqa: A002 - the parameter that says what to decode into is best called `type`.

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

import msgspec

from pkg.apis.meta import GVR
from pkg.kube.errors import NotFound
from tests.unit.controllers.engine.objects import Thing

A = TypeVar("A")


class Page(msgspec.Struct, frozen=True):
    """A page of a list, as the client returns it."""

    items: list[msgspec.Raw]
    resource_version: str
    continue_: str = ""


class Lines(msgspec.Struct, frozen=True):
    """A watch that says these lines and then ends, or breaks with an error."""

    lines: tuple[bytes, ...] = ()
    error: Exception | None = None


Answer: TypeAlias = Page | Lines | Exception


def page(*objects: Thing | bytes, rv: str = "10", more: str = "") -> Page:
    raws = [msgspec.Raw(obj if isinstance(obj, bytes) else msgspec.json.encode(obj)) for obj in objects]
    return Page(raws, rv, more)


def line(kind: str, obj: Thing | dict[str, object]) -> bytes:
    return msgspec.json.encode({"type": kind, "object": obj})


def bookmark(rv: int) -> bytes:
    return line("BOOKMARK", {"kind": "Thing", "metadata": {"resourceVersion": str(rv)}})


def error_line(code: int, reason: str = "", message: str = "went wrong") -> bytes:
    return line("ERROR", {"kind": "Status", "code": code, "reason": reason, "message": message})


class ScriptedWatch:
    """Says its lines; without any left in the script it stays open, silent, until it is closed."""

    def __init__(self, answer: Lines | None) -> None:
        self._answer = answer
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        if self._answer is None:
            assert self._closed.wait(10), "nobody closed the watch"
            return
        yield from self._answer.lines
        if self._answer.error is not None:
            raise self._answer.error

    def close(self) -> None:
        self._closed.set()


class ScriptedClient:
    """Plays the answers in order and writes down the calls; `finished` is set when a watch finds none left.

    After the script, lists are answered from `served`: NotFound for a kind that is not in it.
    """

    def __init__(self, *answers: Answer, served: dict[GVR, Page] | None = None) -> None:
        self._answers = deque(answers)
        self.served = served
        self.calls: list[str] = []
        self.listed: list[tuple[GVR, str | None, str]] = []  # gvr, namespace, label selector
        self.finished = threading.Event()

    def list_page(
        self,
        gvr: GVR,
        namespace: str | None,
        type: type[msgspec.Raw],
        *,
        label_selector: str = "",
        limit: int = 500,
        continue_: str = "",
        resource_version: str | None = None,
    ) -> Page:
        place = f" {continue_}" if continue_ else ""
        self.calls.append(f"list {limit}{place}" + (f" at {resource_version}" if resource_version is not None else ""))
        self.listed.append((gvr, namespace, label_selector))
        answer = self._next(Page)
        if answer is not None:
            return answer
        assert self.served is not None, "a list that the script does not know of"
        if gvr not in self.served:
            raise NotFound("the server could not find the requested resource", status=404)
        return self.served[gvr]

    def watch(
        self,
        gvr: GVR,
        namespace: str | None,
        *,
        label_selector: str = "",
        resource_version: str,
        timeout_seconds: int,
        read_timeout: float,
    ) -> ScriptedWatch:
        assert 300 <= timeout_seconds <= 600 or (timeout_seconds, read_timeout) == (1, 5.0)
        self.calls.append(f"watch {resource_version}" + (" for 1 s" if timeout_seconds == 1 else ""))
        answer = self._next(Lines)
        if answer is None:
            self.finished.set()
        return ScriptedWatch(answer)

    def _next(self, kind: type[A]) -> A | None:
        if not self._answers:
            return None
        answer = self._answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, kind), f"the script has {answer} next"
        return answer
