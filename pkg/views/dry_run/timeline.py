"""A dry run as lines of text: a row per flow with a bar on one time axis, and what it adds up to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pkg.views.dry_run.outcome import DryRun, Span

#: Rows that are shown unless all are asked for.
MAX_ROWS: Final = 50
_MAX_REASONS: Final = 8
_NARROWEST_BAR: Final = 12
_HEAD: Final = ("FLOW", "START", "END", "RESULT")
_GAP: Final = "  "
#: Names and results have a quarter of the width each, but never less than this.
_SHORTEST_NAME: Final = 14


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[str, ...]
    spans: tuple[Span, ...]

    @property
    def is_critical(self) -> bool:
        return any(span.is_critical for span in self.spans)


def timeline(run: DryRun, width: int, *, each: bool = False, everything: bool = False) -> list[str]:
    """The lines of a dry run, at most `width` columns wide.

    each: a row for each attempt instead of one for each flow; everything: all rows, else at most MAX_ROWS.
    """
    longest = max(_SHORTEST_NAME, width // 4)
    rows = [_fitting(row, longest) for row in (_attempts(run) if each else _flows(run))]
    shown = rows if everything or len(rows) <= MAX_ROWS else _most_important(rows)
    lines = list(_table(run, shown, width))
    if len(shown) < len(rows):
        lines.append(f"{len(rows) - len(shown):,} more rows are not shown; --all shows them")
    lines += _not_run(run, everything=everything)
    lines.append("")
    lines += _summary(run, width)
    return lines


def clock(seconds: float) -> str:
    """A time as people write durations: 0s, 1m30s, 2h5m, 1.5s."""
    if seconds < 60 and round(seconds, 1) != int(seconds):
        return f"{seconds:.1f}s"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{left}s" if left else ""]
    return "".join(parts) or "0s"


def _attempts(run: DryRun) -> Iterator[_Row]:
    for span in run.spans:
        yield _Row((span.name, clock(span.start), clock(span.end), span.result), (span,))


def _flows(run: DryRun) -> Iterator[_Row]:
    """A row per flow, in the order in which they start."""
    of_flow: dict[str, list[Span]] = {}
    for span in run.spans:
        of_flow.setdefault(span.flow, []).append(span)
    for flow, spans in of_flow.items():
        tasks = {span.index for span in spans}
        last = {span.index: span.result for span in spans}
        counts: dict[str, int] = {}
        for result in last.values():
            counts[result] = counts.get(result, 0) + 1
        if len(counts) == 1:
            result = next(iter(counts))
        else:
            result = ", ".join(f"{count} {found}" for found, count in counts.items())
        retries = len(spans) - len(tasks)
        if retries:
            result += f", {retries} {'retry' if retries == 1 else 'retries'}"
        name = flow + (f" ×{len(tasks)}" if spans[0].index is not None else "")
        start, end = min(span.start for span in spans), max(span.end for span in spans)
        yield _Row((name, clock(start), clock(end), result), tuple(spans))


def _most_important(rows: Sequence[_Row]) -> list[_Row]:
    """The rows of the critical path first, then the earliest ones; in their order."""
    order = sorted(range(len(rows)), key=lambda at: (not rows[at].is_critical, at))
    return [rows[at] for at in sorted(order[:MAX_ROWS])]


def _table(run: DryRun, rows: Sequence[_Row], width: int) -> Iterator[str]:
    if not rows:
        return
    sizes = [max(len(row[column]) for row in (_HEAD, *(row.cells for row in rows))) for column in range(len(_HEAD))]
    room = max(_NARROWEST_BAR, width - sum(sizes) - len(_GAP) * len(sizes))
    yield _line(_HEAD, sizes) + _GAP + _axis(run.makespan, room)
    for row in rows:
        yield (_line(row.cells, sizes) + _GAP + _bar(run, row, room)).rstrip()


def _line(cells: Sequence[str], sizes: Sequence[int]) -> str:
    name, start, end, result = cells
    parts = [name.ljust(sizes[0]), start.rjust(sizes[1]), end.rjust(sizes[2]), result.ljust(sizes[3])]
    return _GAP.join(parts)


def _axis(makespan: float, room: int) -> str:
    end = clock(makespan)
    return "0" + " " * max(1, room - 1 - len(end)) + end


def _bar(run: DryRun, row: _Row, room: int) -> str:
    """Where the flow runs: `█` on the critical path, `▒` elsewhere, `×` where an attempt failed."""
    cells = [" "] * room
    scale = room / run.makespan if run.makespan else 0.0
    for span in row.spans:
        first = min(room - 1, int(span.start * scale))
        last = max(first + 1, min(room, round(span.end * scale)))
        for at in range(first, last):
            if cells[at] != "█":
                cells[at] = "█" if span.is_critical else "▒"
    for span in row.spans:
        if span.result not in ("Succeeded", "Ready"):
            cells[max(0, min(room - 1, round(span.end * scale) - 1))] = "×"
    return "".join(cells).rstrip()


def _not_run(run: DryRun, *, everything: bool) -> Iterator[str]:
    """The flows that never had a job, those with the same reason in one line."""
    groups: dict[tuple[str, str], list[str]] = {}
    for task in run.not_run:
        flows = groups.setdefault((task.phase, task.reason), [])
        if task.flow not in flows[-1:]:
            flows.append(task.flow)
    if groups:
        yield ""
    for (phase, reason), flows in groups.items():
        limit = len(flows) if everything else _MAX_REASONS
        more = f" and {len(flows) - limit:,} more" if len(flows) > limit else ""
        yield f"{phase}{f' ({reason})' if reason else ''}: {', '.join(flows[:limit])}{more}"


def _summary(run: DryRun, width: int) -> Iterator[str]:
    because = f": {run.message}" if run.message and run.phase != "Succeeded" else ""
    yield f"Workflow:       {run.phase}{f' ({run.reason})' if run.reason else ''}{because}"
    yield f"Makespan:       {clock(run.makespan)}"
    yield (
        f"Parallelism:    at most {run.peak:,}, {run.average:.1f} on the average"
        f" ({clock(run.busy)} of jobs, {len(run.spans):,} {'job' if len(run.spans) == 1 else 'jobs'})"
    )
    if run.critical:
        yield from _wrapped("Critical path:  ", [span.name for span in run.critical], width)
    for note in run.notes:
        yield f"Note:           {note}"


def _wrapped(head: str, names: Iterable[str], width: int) -> Iterator[str]:
    """The names with arrows between them, broken to the width; of a long chain the middle is left out."""
    found = list(names)
    if len(found) > MAX_ROWS:
        left = len(found) - MAX_ROWS
        found = [*found[: MAX_ROWS // 2], f"({left:,} more)", *found[-MAX_ROWS // 2 :]]
    line = head
    for number, name in enumerate(found):
        part = name if number == len(found) - 1 else f"{name} →"
        if line != head and len(line) + len(part) > width:
            yield line.rstrip()
            line = " " * len(head)
        line += part + " "
    yield line.rstrip()


def _fitting(row: _Row, longest: int) -> _Row:
    """The row with its name and its result cut."""
    name, start, end, result = row.cells
    return _Row((_cut(name, longest), start, end, _cut(result, longest)), row.spans)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
