"""Prints the logs of several pods: each line behind the task that it is from, in whole lines, from many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import click

from pkg.cli.output import Screen
from pkg.views.pods import PodOf

_COLOURS: Final = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green", "bright_yellow")


class Printer:
    """Writes lines to standard output. Control characters of a log are kept: it may have colours of its own.

    printed: how many lines there were.
    """

    def __init__(self, to: Screen) -> None:
        self._to = to
        self._lock = threading.Lock()
        self._colour_of: dict[str, str] = {}
        self.printed = 0

    def line(self, prefix: str, text: bytes) -> None:
        """One line of a log. prefix: empty for none."""
        said = text.decode("utf-8", "replace").rstrip("\r")
        with self._lock:
            self.printed += 1
            if not prefix:
                click.echo(said)
                return
            colour = self._colour_of.setdefault(prefix, _COLOURS[len(self._colour_of) % len(_COLOURS)])
            click.echo(f"{self._to.paint(prefix, colour)} {said}")

    def say(self, text: str) -> None:
        """A remark, on standard error."""
        with self._lock:
            click.echo(text, err=True)


def prefixes(
    pods: Sequence[PodOf], label: Callable[[PodOf], str], *, one_task: bool, containers: bool
) -> Callable[[PodOf, str], str]:
    """How lines begin: `[task]`, with the pod where a task has several, with the container if `containers`.

    Nothing, if there is one pod and no container to name. one_task: only one task was asked for, so that of its
    attempts one pod after the other is followed.
    """
    count: dict[tuple[str, int, int], int] = {}
    for one in pods:
        task = (one.flow, one.index, one.attempt)
        count[task] = count.get(task, 0) + 1

    def prefix(one: PodOf, container: str) -> str:
        if not containers and (len(pods) == 1 or (one_task and not pods)):
            return ""
        parts = [label(one)]
        if count.get((one.flow, one.index, one.attempt), 0) > 1:
            parts.append(one.pod.metadata.name)
        if containers:
            parts.append(container)
        return f"[{' '.join(parts)}]"

    return prefix


def shown_containers(one: PodOf, chosen: str, *, all_containers: bool) -> tuple[str, ...]:
    """The containers of a pod whose logs are shown: the chosen one, all, or the first."""
    if chosen:
        return (chosen,)
    return one.pod.containers if all_containers else one.pod.containers[:1]


def others(pods: Iterable[PodOf]) -> tuple[str, ...]:
    """The containers that are not shown by default, each once."""
    return tuple(dict.fromkeys(name for one in pods for name in one.pod.containers[1:]))
