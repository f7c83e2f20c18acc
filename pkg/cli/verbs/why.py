"""`why`: one screen that says what a Workflow waits for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from pkg.cli.arguments import WORKFLOW
from pkg.cli.connection import Connection, cluster_options
from pkg.cli.output import Screen, echo, printable, screen

if TYPE_CHECKING:
    from pkg.views.why import Answer, Cause
    from pkg.views.workflow_view import WorkflowView


@click.command("why")
@click.argument("name", type=WORKFLOW)
@cluster_options
def command(connection: Connection, name: str) -> None:
    """Say what a Workflow waits for or why it failed, since when, and what to do."""
    from pkg.views.one_workflow import read_workflow
    from pkg.views.why import why
    from pkg.views.workflow_view import view

    now = time.time()
    found = view(read_workflow(connection.client, connection.namespace, name), now)
    echo(render(found, why(found, now), screen()))


def render(found: WorkflowView, answer: Answer, to: Screen) -> list[str]:
    """The screen. Pure."""
    from pkg.views.durations import shown

    phase = str(found.phase or "without a phase")
    progress = f", {found.progress} tasks done" if found.progress else ""
    took = f", {'took' if found.ended else 'for'} {shown(found.seconds)}" if found.seconds is not None else ""
    lines = [
        f"Workflow {to.paint(f'{found.namespace}/{found.name}', bold=True)} is {to.phase(phase)}{progress}{took}:",
        *_wrapped(answer.summary, to, ""),
    ]
    for cause in answer.causes:
        lines += ["", *_cause(cause, to)]
    if answer.more:
        lines += ["", f"And {answer.more} more: kubectl workflow get -n {found.namespace} {found.name}"]
    if answer.runs:
        running = ", ".join(
            f"{flow.name} ({f'{flow.done}/{flow.size}, ' if flow.has_for else ''}for {shown(flow.seconds)})"
            for flow in answer.runs[:8]
        )
        more = f" and {len(answer.runs) - 8} more" if len(answer.runs) > 8 else ""
        lines += ["", *_wrapped(f"Running: {running}{more}", to, "  ")]
    return lines


def _cause(cause: Cause, to: Screen) -> Iterator[str]:
    from pkg.views.durations import shown

    more = f" and {cause.others} more {'flow' if cause.others == 1 else 'flows'}" if cause.others else ""
    said = printable(cause.reason)
    reason = f": {to.paint(said, 'red' if cause.needs_person else 'yellow')}" if said else ""
    since = f", since {shown(cause.since)}" if cause.since is not None else ""
    yield f"{to.paint(cause.where, bold=True)}{more}, {to.phase(cause.phase) or 'waiting'}{since}{reason}"
    if cause.message:
        yield from _wrapped(printable(cause.message), to, "  ", first="  ")
    if cause.todo:
        yield from _wrapped(f"What to do: {cause.todo}", to, "    ", first="  ")


def _wrapped(text: str, to: Screen, indent: str, first: str = "") -> list[str]:
    if not to.width:
        return [f"{first}{text}"]
    return wrap(text, to.width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)
