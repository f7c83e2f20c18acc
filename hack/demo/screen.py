"""Draws the demo: panels of flows that fit the terminal, the latest changes, and the table at the end. PURE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hack.demo.changes import Change
from pkg.apis.flow.v1alpha1.phases import Phase, WorkflowPhase
from pkg.views.workflow_view import FlowView, WorkflowView

DOT = "●"
_MAX_DOTS = 8
_PANEL_WIDTH = 40
_MAX_COLUMNS = 3
_BORDER = 2
_MAX_NAME = 24
_HEADER = 2

MARKS = {
    "Waiting": ("·", "dim"),
    "Pending": ("○", "yellow"),
    "Suspended": ("‖", "yellow"),
    "Running": ("▸", "cyan"),
    "Terminating": ("◌", "yellow"),
    "Backoff": ("↻", "magenta"),
    "Succeeded": ("✔", "green"),
    "Failed": ("✘", "bright_red"),
    "Skipped": ("⤼", "bright_black"),
    "Cancelled": ("⊘", "bright_black"),
}
"""Mark and style of each state, of tasks and of workflows; the red dot is for single running tasks."""

# Where few lines fit: flows that run first, then those that may still start, then those that have ended.
_URGENCY = {phase: number for number, phase in enumerate((Phase.RUNNING, Phase.BACKOFF, Phase.PENDING))}


@dataclass(frozen=True, slots=True)
class Happening:
    """A change and when it was seen, in seconds since the start."""

    at: float
    change: Change


@dataclass(frozen=True, slots=True)
class Result:
    """The end of one workflow; differences: what is not as its example states."""

    view: WorkflowView
    differences: tuple[str, ...]


def frame(
    views: Sequence[WorkflowView], happenings: Sequence[Happening], seconds: float, width: int, height: int
) -> RenderableType:
    """The whole screen: never more than `height` lines, at most `width` wide."""
    columns = max(1, min(_MAX_COLUMNS, width // _PANEL_WIDTH, len(views) or 1))
    rows = [views[at : at + columns] for at in range(0, len(views), columns)]
    room = height - _HEADER - 1  # the cursor's line
    sizes = share([max(len(view.flows) for view in row) + _BORDER for row in rows], room)
    left = room - sum(sizes)
    grid = Table.grid(expand=True)
    for _ in range(columns):
        grid.add_column(ratio=1)
    for row, size in zip(rows, sizes, strict=True):
        grid.add_row(*(_panel(view, size) for view in row))
    parts: list[RenderableType] = [_header(views, seconds), Text(), grid]
    if left > 0:
        notable = [happening for happening in happenings if happening.change.is_notable]
        parts += [line(happening) for happening in notable[-left:]]
    return Group(*parts)


def share(wanted: Sequence[int], room: int) -> list[int]:
    """Heights of rows that fit into `room` lines together. The highest row is cut first, down to one line."""
    sizes = list(wanted)
    while sum(sizes) > room and max(sizes, default=0) > _BORDER + 1:
        sizes[sizes.index(max(sizes))] -= 1
    return sizes


def line(happening: Happening) -> Text:
    """One change, in one line."""
    change = happening.change
    mark, style = MARKS[change.phase]
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{happening.at:6.1f} s  ", "dim")
    text.append(f"{mark} ", style)
    text.append(f"{change.what:<28} ", "bold" if isinstance(change.phase, WorkflowPhase) else "")
    text.append(f"{change.phase:<10}", style)
    text.append(f"  {change.text}" if change.text else "", "dim")
    return text


def table(results: Sequence[Result]) -> Table:
    """The end of every workflow, and whether it is as its example states."""
    made = Table(box=box.ROUNDED, border_style="dim", header_style="bold")
    made.add_column("Workflow", no_wrap=True)
    made.add_column("Phase", no_wrap=True)
    made.add_column("Tasks", justify="right", no_wrap=True)
    made.add_column("Flows")
    made.add_column("Duration", justify="right", no_wrap=True)
    made.add_column("As expected")
    for result in results:
        view = result.view
        phase = _phase(view)
        mark, style = MARKS[phase]
        good = not result.differences
        made.add_row(
            view.name,
            Text(f"{mark} {phase}", style),
            view.progress or "-",
            _counts(view),
            _seconds(view.seconds),
            Text("yes" if good else "no: " + "; ".join(result.differences), "green" if good else "bold red"),
        )
    return made


def _phase(view: WorkflowView) -> WorkflowPhase:
    """Pending, too, while no controller has seen it."""
    return view.phase or WorkflowPhase.PENDING


def _counts(view: WorkflowView) -> Text:
    """How many flows are in each state, by mark."""
    counts = Counter(flow.phase for flow in view.flows)
    said = [Text(f"{counts[phase]} {MARKS[phase][0]}", MARKS[phase][1]) for phase in Phase if counts[phase]]
    return Text("  ").join(said)


def _header(views: Sequence[WorkflowView], seconds: float) -> Text:
    running = sum(flow.running for view in views for flow in view.flows)
    ended = sum(_phase(view).is_final for view in views)
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("Work-Flow", "bold")
    text.append(f"  {ended} of {len(views)} workflows ended", "dim")
    text.append(f"  {DOT} {running} running ", "red" if running else "dim")
    text.append(f" {seconds:.1f} s", "dim")
    return text


def _panel(view: WorkflowView, height: int) -> Panel:
    phase = _phase(view)
    mark, style = MARKS[phase]
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=1)
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=_MAX_NAME)
    grid.add_column(width=9, no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    grid.add_column(justify="right", width=5, no_wrap=True)
    shown, hidden = choose(view.flows, height - _BORDER)
    for flow in shown:
        grid.add_row(*_cells(flow))
    if hidden:
        grid.add_row("", Text(f"and {hidden} more", "dim"))
    title = Text(f" {mark} {view.name} ", f"bold {style}" if style != "dim" else "bold")
    state = " ".join(filter(None, (phase, view.progress, _seconds(view.seconds))))
    return Panel(
        grid,
        title=title,
        title_align="left",
        subtitle=Text(f" {state} ", style),
        subtitle_align="right",
        border_style=style if phase.is_final else "dim",
        box=box.ROUNDED,
        height=height,
    )


def choose(flows: Sequence[FlowView], lines: int) -> tuple[list[FlowView], int]:
    """The flows that `lines` lines show, in their order, and how many are left out (which costs a line, if there is
    more than one)."""
    if len(flows) <= lines:
        return list(flows), 0
    keep = max(1, lines - 1)
    ranked = sorted(range(len(flows)), key=lambda at: (_rank(flows[at].phase), at))
    chosen = sorted(ranked[:keep])
    return [flows[at] for at in chosen], len(flows) - keep if lines > 1 else 0


def _rank(phase: Phase) -> int:
    return 9 if phase.is_final else _URGENCY.get(phase, 5)


def _cells(flow: FlowView) -> tuple[RenderableType, ...]:
    mark, style = MARKS[flow.phase]
    quiet = style if flow.phase in (Phase.WAITING, Phase.SKIPPED, Phase.CANCELLED) else ""
    return Text(mark, style), Text(flow.name, quiet), Text(flow.phase, style), _detail(flow), _seconds(flow.seconds)


def _detail(flow: FlowView) -> Text:
    """A red dot for each running task, how many of several are done, and retries: when the next, or how many."""
    text = Text()
    if flow.running > _MAX_DOTS:
        text.append(f"{DOT}x{flow.running} ", "red")
    elif flow.running:
        text.append(DOT * flow.running + " ", "red")
    if flow.size > 1 and flow.done and flow.phase is not Phase.SKIPPED:
        text.append(f"{flow.done}/{flow.size} ", "dim")
    if flow.retry_in is not None:
        text.append(f"in {flow.retry_in:.1f}s", "magenta")
    elif flow.tries > 1:
        text.append(f"↻{flow.tries - 1}", "magenta")
    return text


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f}s" if seconds < 100 else f"{seconds:.0f}s"
