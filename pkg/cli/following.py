"""`--wait`, `--watch` and `--timeout` of the verbs that start something."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from pkg.cli.connection import Connection
from pkg.cli.problems import TIMED_OUT, Problem
from pkg.cli.waiting import DURATION, lost_once, wait_for_ends

_WRONG_USAGE = 2


@dataclass(frozen=True, slots=True)
class Follow:
    """What to do once something was started. timeout: seconds, None for no limit."""

    wait: bool
    watch: bool
    timeout: float | None

    def check(self, number: int) -> None:
        """Raises Problem if so many workflows cannot be followed this way. Call it before anything is started."""
        if self.watch and number > 1:
            raise Problem(f"--watch shows one workflow, and these are {number:,}; use --wait", _WRONG_USAGE)
        if self.watch and self.timeout is not None:
            raise Problem("--timeout belongs to --wait; Ctrl-C ends --watch", _WRONG_USAGE)

    def run(self, connection: Connection, names: Sequence[tuple[str, str]], *, restarted: bool = False) -> None:
        """Follows workflows, given as namespace and name, and ends the command with the exit code of `wait` or `watch`.

        restarted: they have ended before, and a restart is asked for.
        """
        if not names or not (self.wait or self.watch):
            return
        deadline = math.inf if self.timeout is None else time.monotonic() + self.timeout
        codes = []
        for namespace, name in names:
            own = connection.at(namespace)
            if restarted and not _has_begun(own, name, deadline):
                Problem(
                    f"no controller has begun the retry of {name} in time; kubectl workflow why {name} may say why"
                ).show()
                codes.append(TIMED_OUT)
            elif self.watch:
                from pkg.cli.live import watch_one

                codes.append(watch_one(own, name))
            else:
                left = None if self.timeout is None else max(0.0, deadline - time.monotonic())
                codes.append(wait_for_ends(own, [name], left))
        raise click.exceptions.Exit(1 if 1 in codes else max(codes))


def _has_begun(connection: Connection, name: str, deadline: float) -> bool:
    """Waits until the controller has carried out the restart of a workflow; False if the deadline came first."""
    from pkg.views.briefs import Brief
    from pkg.views.follow import Follower

    client, namespace = connection.client, connection.namespace
    for seen in Follower(client, namespace, Brief, name=name, deadline=deadline, on_lost=lost_once()):
        if seen.found is None or not seen.found.is_restart_due:
            return True
    return False


def follow_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --wait, --watch and --timeout to a verb, which gets them as `follow`."""

    def run(*args: Any, wait: bool, watch: bool, timeout: float | None, **rest: Any) -> Any:
        return verb(*args, follow=Follow(wait or (timeout is not None and not watch), watch, timeout), **rest)

    run.__doc__ = verb.__doc__
    run.__click_params__ = getattr(verb, "__click_params__", [])  # type: ignore[attr-defined]
    option: Callable[..., Any] = run
    for one in (
        click.option(
            "--timeout", type=DURATION, metavar="DURATION", help="Wait so long, such as 90s. Default: no limit."
        ),
        click.option("--watch", is_flag=True, help="Show it live until it ends: exit code 0 succeeded, 1 failed."),
        click.option("--wait", is_flag=True, help="Wait for its end: exit code 0 succeeded, 1 failed, 2 time is up."),
    ):
        option = one(option)
    return option
