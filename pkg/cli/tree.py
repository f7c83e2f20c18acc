"""A Workflow as a tree of lines: flows, replicas, attempts. Pure; `get` and `watch` print it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Final

import click

from pkg.apis.flow.v1alpha1.indexes import unpack_indexes
from pkg.apis.flow.v1alpha1.phases import UNFINISHED, Phase
from pkg.cli.output import COLOURS, Screen, cut, printable, table, width
from pkg.views.attempts import AttemptView
from pkg.views.durations import shown
from pkg.views.workflow_view import FlowView, ReplicaView, WorkflowView

#: Replicas of a flow that are listed one by one; more are folded.
UNFOLDED: Final = 10
#: Replicas that are listed of a folded flow, those that failed first.
LISTED: Final = 5
MARKS: Final = {
    Phase.RUNNING: "●",
    Phase.SUCCEEDED: "✔",
    Phase.FAILED: "✖",
    Phase.SKIPPED: "○",
    Phase.CANCELLED: "⊘",
    Phase.BACKOFF: "↻",
    Phase.SUSPENDED: "⏸",
    Phase.PENDING: "◌",
    Phase.WAITING: "·",
}
#: The order of the phases of a folded flow.
_ORDER: Final = (
    Phase.SUCCEEDED,
    Phase.FAILED,
    Phase.CANCELLED,
    Phase.SKIPPED,
    Phase.RUNNING,
    Phase.BACKOFF,
    Phase.SUSPENDED,
    Phase.PENDING,
    Phase.WAITING,
)
_HEAD: Final = ("FLOW", "PHASE", "DONE", "TRIES", "TIME", "WHY")
_LEAST: Final = 2  # columns that stay in a narrow terminal: flow and phase
_MAX_LINES: Final = 4  # of a WHY that does not fit behind its flow


@dataclass(frozen=True, slots=True)
class _Node:
    cells: tuple[str, ...]
    children: tuple[_Node, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the tree. below: what stands at the beginning of a line between it and the next one."""

    cells: tuple[str, ...]
    below: str


def heading(found: WorkflowView, to: Screen) -> list[str]:
    """The lines above the tree: what it is, how far it is, and what it waits for."""
    phase = str(found.phase) if found.phase else "no phase: no controller has written one yet"
    state = [to.paint(phase, COLOURS.get(phase), bold=True)]
    if found.progress:
        state.append(f"{found.progress} tasks done")
    if found.seconds is not None:
        state.append(f"{'took' if found.ended else 'for'} {shown(found.seconds)}")
    if found.is_deleting:
        state.append("being deleted")
    lines = [f"Workflow {to.paint(f'{found.namespace}/{found.name}', bold=True)}: {', '.join(state)}"]
    if found.blocked is not None:
        lines += _wrapped("Blocked", f"{found.blocked.reason}: {found.blocked.message}", to)
    elif found.message and found.phase is not None:
        lines += _wrapped("Why", f"{found.reason}: {found.message}", to)
    return lines


def tree(found: WorkflowView, now: float, to: Screen, *, unfold: bool = False, wide: bool = False) -> list[str]:
    """The flows with their replicas and attempts, in the order of the spec. wide: also what each waits for."""
    nodes = [_flow(flow, now, unfold) for flow in found.flows]
    head: tuple[str, ...] = _HEAD
    if wide:
        head = (*_HEAD[:-1], "TEMPLATE", "AFTER", _HEAD[-1])
        nodes = [_widened(node, flow) for node, flow in zip(nodes, found.flows, strict=True)]
    rows = list(_rows(nodes, ""))
    if not to.width:
        return table(head, [row.cells for row in rows], to, coloured=1)
    lines = _fitting(head[:-1], [row.cells[:-1] for row in rows], to)
    used = max(width(click.unstyle(line)) for line in lines) + 3
    shown_lines = [_behind(lines[0], head[-1], used, to) if used + len(head[-1]) <= to.width else lines[0]]
    for line, row in zip(lines[1:], rows, strict=True):
        why = row.cells[-1]
        if width(why) <= to.width - used:
            shown_lines.append(_behind(line, why, used, to))
        else:
            shown_lines += [line, *_below(why, row.below, to)]
    return shown_lines


def outputs(found: WorkflowView, to: Screen) -> list[str]:
    """The values that flows have handed out, one per line; nothing if there are none."""
    rows = [
        (f"{one.flow}.{one.name}", "" if one.count is None else str(one.count), printable(one.value))
        for one in found.outputs
    ]
    return ["", *table(("OUTPUT", "VALUES", "VALUE"), rows, to)] if rows else []


def _fitting(head: Sequence[str], rows: Sequence[Sequence[str]], to: Screen) -> list[str]:
    """The columns but WHY, as many as fit into the width of the terminal."""
    for kept in range(len(head), _LEAST - 1, -1):
        lines = table(head[:kept], [row[:kept] for row in rows], Screen(0, to.colours), coloured=1)
        if all(width(click.unstyle(line)) <= to.width for line in lines):
            return lines
    return [cut(click.unstyle(line), to.width) for line in lines]


def _behind(line: str, why: str, used: int, to: Screen) -> str:
    """The line with WHY in its column."""
    plain = click.unstyle(line) if to.colours else line
    return f"{line}{' ' * (used - width(plain))}{why}" if why else line


def _below(why: str, prefix: str, to: Screen) -> list[str]:
    """WHY on lines of its own."""
    lines = wrap(why, max(20, to.width - len(prefix) - 4), max_lines=_MAX_LINES, placeholder=" …")
    return [f"{prefix}    {line}" for line in lines]


def _flow(flow: FlowView, now: float, unfold: bool) -> _Node:
    name = f"{MARKS[flow.phase]} {flow.name}" + (" (finally)" if flow.is_finally else "")
    done = f"{flow.done}/{flow.size}" if flow.has_for else ""
    tries = str(flow.tries) if flow.tries else ""
    cells = (name, str(flow.phase), done, tries, shown(flow.seconds), _why(flow))
    if flow.has_for:
        return _Node(cells, tuple(_replicas(flow, now, unfold)))
    # One attempt says nothing that the flow does not say.
    attempts = _attempts(flow.attempts, flow.phase, flow.first_attempt, now) if flow.tries > 1 else []
    return _Node(cells, tuple(attempts))


def _why(flow: FlowView) -> str:
    said = f"{flow.reason}: {flow.message}" if flow.reason and flow.message else flow.reason or flow.message
    if flow.retry_in is not None and flow.phase is Phase.BACKOFF:
        return f"next attempt in {shown(flow.retry_in)}; {said}" if said else f"next attempt in {shown(flow.retry_in)}"
    return printable(said)


def _replicas(flow: FlowView, now: float, unfold: bool) -> Iterator[_Node]:
    """All replicas of a small flow; of a large one the ranges in each phase, and below them the first that failed."""
    if flow.size <= UNFOLDED or unfold:
        known = {item.index: item for item in flow.replicas}
        phases = {index: phase for phase, text in flow.indexes.items() for index in unpack_indexes(text)}
        for index in sorted(phases):
            yield _replica(known.get(index) or ReplicaView(index, phases[index]), flow.first_attempt, now)
        return
    for phase in _ORDER:
        text = flow.indexes.get(phase, "")
        if not text:
            continue
        listed = [item for item in flow.replicas if item.phase is phase and item.message][:LISTED]
        count = flow.counts[phase]
        children = [_replica(item, flow.first_attempt, now) for item in listed]
        if listed and count > len(listed):
            children.append(_Node((f"and {count - len(listed)} more", "", "", "", "", "")))
        label = f"{MARKS[phase]} {count} of {flow.size}"
        yield _Node((label, str(phase), "", "", "", f"indexes {_short(text)}"), tuple(children))


def _short(ranges: str, limit: int = 60) -> str:
    """The ranges, cut after a whole one."""
    if len(ranges) <= limit:
        return ranges
    return f"{ranges[:limit].rpartition(',')[0] or ranges[:limit]},…"


def _replica(item: ReplicaView, first: int, now: float) -> _Node:
    why = f"{item.reason}: {item.message}" if item.reason and item.message else item.reason or item.message
    newest = item.attempts[-1] if item.attempts else None
    took = _took(newest, item.phase, now) if newest is not None else ""
    tries = str(newest.number + 1) if newest is not None else ""
    cells = (f"{MARKS[item.phase]} {item.index}", str(item.phase), "", tries, took, printable(why))
    older = _attempts(item.attempts, item.phase, first, now) if newest is not None and newest.number else []
    return _Node(cells, tuple(older))


def _attempts(attempts: Sequence[AttemptView], phase: Phase, first: int, now: float) -> list[_Node]:
    """One line per attempt. Every attempt but the newest has failed; the newest is in the phase of its task.

    Attempts below `first` belong to a run before the last restart, of which the job alone says how it ended.
    """
    newest = max((one.number for one in attempts), default=0)
    nodes = []
    for one in attempts:
        its = phase if one.number == newest else Phase.FAILED
        if one.number < first:
            its = Phase.SUCCEEDED if one.succeeded else Phase.FAILED
        if its in (Phase.BACKOFF, Phase.WAITING):  # the job of the newest attempt has failed, or is gone
            its = Phase.FAILED
        cells = (f"{MARKS[its]} attempt {one.number}", str(its), "", "", _took(one, its, now), f"job {one.job}")
        nodes.append(_Node(cells))
    return nodes


def _took(one: AttemptView, phase: Phase, now: float) -> str:
    """How long the attempt took, or takes: in a Pod that runs, an init container may have ended."""
    if phase in UNFINISHED:
        return shown(max(0.0, now - one.started))
    return "" if one.ended is None else shown(max(0.0, one.ended - one.started))


def _widened(node: _Node, flow: FlowView) -> _Node:
    *first, why = node.cells
    return _Node((*first, flow.template, ",".join(flow.after), why), tuple(map(_with_blanks, node.children)))


def _with_blanks(node: _Node) -> _Node:
    *first, why = node.cells
    return _Node((*first, "", "", why), tuple(map(_with_blanks, node.children)))


def _rows(nodes: Sequence[_Node], prefix: str, *, is_top: bool = True) -> Iterator[_Row]:
    for number, node in enumerate(nodes):
        is_last = number == len(nodes) - 1
        branch = "" if is_top else "└─ " if is_last else "├─ "
        below = prefix if is_top else prefix + ("   " if is_last else "│  ")
        yield _Row((f"{prefix}{branch}{node.cells[0]}", *node.cells[1:]), below + ("│" if node.children else ""))
        yield from _rows(node.children, below, is_top=False)


def _wrapped(label: str, text: str, to: Screen) -> list[str]:
    """A labelled text, wrapped at the width of a terminal; on one line without one."""
    said = f"{label}: {' '.join(printable(text).split())}"
    if not to.width:
        return [said]
    return wrap(said, to.width, subsequent_indent="  ", break_long_words=False) or [said]
