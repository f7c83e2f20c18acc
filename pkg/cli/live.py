"""Workflows drawn again and again while they change. `watch` and `--watch` of other verbs use it.

A thread follows the API server; this one draws at most twice a second, and once a second if nothing changes, for the
times. Where standard output is no terminal, a line is printed for each change.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Generic, TypeVar

import click

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.cli.connection import Connection
from pkg.cli.output import COLOURS, Screen, console, cut, printable, screen, table
from pkg.cli.problems import FAILED, OK, Problem
from pkg.cli.tree import MARKS, heading
from pkg.cli.waiting import lost_once
from pkg.views.durations import shown
from pkg.views.follow import Follower, Seen
from pkg.views.workflow_list import Line, Listed, line
from pkg.views.workflow_view import LIVELY, FlowView, WorkflowView, view

T = TypeVar("T")
_TICK: Final = 1.0
_SETTLE: Final = 0.4
#: Tasks of a flow that get a mark each.
_MARKED: Final = 24


class Feed(Generic[T]):
    """What a Follower sees, read in a thread of its own."""

    def __init__(self, follower: Follower[T]) -> None:
        self._follower = follower
        self._queue: queue.SimpleQueue[Seen[T] | BaseException | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="follow", daemon=True).start()

    def _run(self) -> None:
        try:
            for seen in self._follower:
                self._queue.put(seen)
        except BaseException as error:  # raised again in the thread that draws
            self._queue.put(error)
        else:
            self._queue.put(None)

    def take(self, seconds: float) -> list[Seen[T]]:
        """All that came, after waiting at most `seconds` for the first. Raises what the follower raised."""
        found: list[Seen[T]] = []
        wait = seconds
        while True:
            try:
                item = self._queue.get(timeout=wait) if wait > 0 else self._queue.get_nowait()
            except queue.Empty:
                return found
            if isinstance(item, BaseException):
                raise item
            if item is None:
                return found
            found.append(item)
            wait = 0.0


def watch_one(connection: Connection, name: str) -> int:
    """Shows the Workflow until it ends. The exit code: OK if it succeeded, FAILED if it failed. Raises KubeError."""
    from pkg.views.one_workflow import read_workflow

    newest = read_workflow(connection.client, connection.namespace, name)  # NotFound is said at once
    feed = Feed(Follower(connection.client, connection.namespace, Workflow, name=name, on_lost=lost_once()))
    to = screen()

    def changes() -> Iterator[WorkflowView]:
        nonlocal newest
        while True:
            for seen in feed.take(_TICK):
                if seen.found is None:
                    raise Problem(f"workflow {name} was deleted")
                newest = seen.found
            yield view(newest, time.time())

    last = _draw(changes(), lambda found: one(found, screen(), _height())) if to.width else _log(changes())
    return OK if last.phase == "Succeeded" else FAILED


def watch_all(connection: Connection, selector: str) -> None:
    """Shows the Workflows of the namespace, or of all, until Ctrl-C. Raises KubeError."""
    lines: dict[tuple[str, str], Listed] = {}
    feed = Feed(
        Follower(
            connection.client,
            connection.scope,
            Listed,
            label_selector=selector,
            on_lost=lost_once(),
            must_be_served=True,
        )
    )
    to = screen()
    said: dict[tuple[str, str], str] = {}

    def changes() -> Iterator[list[Line]]:
        while True:
            for seen in feed.take(_TICK):
                key = (seen.namespace, seen.name)
                if seen.found is None:
                    lines.pop(key, None)
                else:
                    lines[key] = seen.found
            now = time.time()
            yield [line(found, now) for found in lines.values()]

    if to.width:
        _draw(changes(), lambda found: many(found, screen(), _height(), namespaces=connection.all_namespaces))
        return
    for found in changes():
        for each in found:
            text = f"{each.phase or 'new'} {each.progress} {printable(each.why)}".rstrip()
            if said.get((each.namespace, each.name)) != text:
                said[each.namespace, each.name] = text
                click.echo(f"{_now()} {each.namespace}/{each.name} {text}")


def _draw(changes: Iterator[T], render: Callable[[T], list[str]]) -> T:
    from rich.live import Live
    from rich.text import Text

    with Live(console=console(), auto_refresh=False, vertical_overflow="crop") as live:
        for found in changes:
            live.update(Text.from_ansi("\n".join(render(found))), refresh=True)
            if _is_over(found):
                return found
            time.sleep(_SETTLE)
    raise AssertionError("the changes do not end")


def _log(changes: Iterator[WorkflowView]) -> WorkflowView:
    """A line for each flow whose phase or progress changed."""
    said: dict[str, str] = {}
    for found in changes:
        for name, text in _facts(found):
            if said.get(name) != text:
                said[name] = text
                click.echo(f"{_now()} {name} {text}".rstrip())
        if _is_over(found):
            return found
    raise AssertionError("the changes do not end")


def _facts(found: WorkflowView) -> Iterator[tuple[str, str]]:
    for flow in found.flows:
        done = f" {flow.done}/{flow.size}" if flow.has_for else ""
        why = f" {flow.reason}: {flow.message}" if flow.reason and flow.message else ""
        yield flow.name, printable(f"{flow.phase}{done}{why}")
    why = f" {found.reason}: {found.message}" if found.reason and found.message else ""
    yield f"workflow/{found.name}", printable(f"{found.phase or 'new'} {found.progress}{why}")


def _is_over(found: object) -> bool:
    return isinstance(found, WorkflowView) and found.phase is not None and found.phase.is_final


def one(found: WorkflowView, to: Screen, height: int) -> list[str]:
    """The Workflow in at most `height` lines: each flow with a mark for each task; red ones run. Pure.

    Where there are too few lines, flows that have succeeded or wait are folded into one line first.
    """
    lines = [*heading(found, to), ""]
    room = max(3, height - len(lines) - 2)
    kept, folded = _chosen(found.flows, room)
    rows = [_flow_row(flow) for flow in kept]
    lines += table(("FLOW", "TASKS", "PHASE", "DONE", "TIME", "WHY"), rows, to, coloured=2)
    if folded:
        counts = {phase: sum(flow.phase is phase for flow in folded) for phase in LIVELY}
        said = ", ".join(f"{count} {phase}" for phase, count in counts.items() if count)
        lines.append(to.paint(cut(f"and {len(folded)} more flows: {said}", to.width or 10_000), "bright_black"))
    return [_dotted(text, to) for text in lines]


def _chosen(flows: Sequence[FlowView], room: int) -> tuple[list[FlowView], list[FlowView]]:
    """The flows that are shown, in the order of the spec, and the others."""
    if len(flows) <= room:
        return list(flows), []
    ranked = sorted(range(len(flows)), key=lambda number: (LIVELY.index(flows[number].phase), number))
    kept = set(ranked[: room - 1])
    return [flows[n] for n in sorted(kept)], [flow for n, flow in enumerate(flows) if n not in kept]


def _flow_row(flow: FlowView) -> tuple[str, ...]:
    marks = "".join(MARKS[phase] for phase in flow.strip(_MARKED)) + ("…" if flow.size > _MARKED else "")
    why = "" if flow.phase in (Phase.SUCCEEDED, Phase.RUNNING) else flow.message or flow.reason
    if flow.retry_in is not None and flow.phase is Phase.BACKOFF:
        why = f"next attempt in {shown(flow.retry_in)}; {why}"
    done = f"{flow.done}/{flow.size}" if flow.has_for else ""
    return (flow.name, marks, str(flow.phase), done, shown(flow.seconds), printable(why))


_OF_MARK: Final = {MARKS[phase]: COLOURS[phase] for phase in (Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED)}


def _dotted(text: str, to: Screen) -> str:
    """The line with its marks in the colours of their phases."""
    if not to.colours:
        return text
    for mark, colour in _OF_MARK.items():
        if mark in text:
            text = text.replace(mark, click.style(mark, fg=colour))
    return text


def many(found: Iterable[Line], to: Screen, height: int, *, namespaces: bool) -> list[str]:
    """The Workflows in at most `height` lines: those that run first, then the youngest. Pure."""
    from pkg.cli.verbs.list import render

    ordered = sorted(found, key=lambda one: (one.phase in ("Succeeded", "Failed"), one.age or 0.0))
    room = max(2, height - 3)
    lines = render(ordered[:room], to, namespaces=namespaces) if ordered else ["no Workflows yet"]
    if len(ordered) > room:
        lines.append(f"and {len(ordered) - room} more; kubectl workflow list shows all")
    return lines


def _height() -> int:
    import shutil

    return shutil.get_terminal_size().lines


def _now() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S")
