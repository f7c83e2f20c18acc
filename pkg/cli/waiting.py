"""Waits for the ends of Workflows, and says how each ended. `wait` and `--wait` of other verbs use it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from pkg.cli.connection import Connection
from pkg.cli.output import printable
from pkg.cli.problems import FAILED, NOT_ASKED, OK, TIMED_OUT, Problem, problem_of
from pkg.kube.errors import KubeError

_SHOWN: Final = {"Succeeded": "succeeded", "Failed": "failed"}


class DurationType(click.ParamType[float]):
    """A duration such as 90s or 1h30m, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds; wrong usage if it is no duration. A number alone is seconds."""
        from pkg.apis.flow.v1alpha1.durations import parse

        if isinstance(value, int | float):
            return float(value)
        try:
            return parse(f"{value}s" if str(value).isdecimal() else str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION: Final = DurationType()


def wait_for_ends(connection: Connection, names: Sequence[str], timeout: float | None) -> int:
    """Waits until all have ended, or for `timeout` seconds (None: for ever), and prints a line for each.

    Each is asked at least once, also when the time is up. The exit code: OK if all succeeded, FAILED if one failed,
    TIMED_OUT if one has not ended. Raises Problem with the exit code NOT_ASKED for what is none of these.
    """
    from pkg.views.durations import shown
    from pkg.views.follow import wait_for_end

    deadline = math.inf if timeout is None else time.monotonic() + timeout
    codes = []
    for name in names:
        try:
            ending = wait_for_end(connection.client, connection.namespace, name, deadline, lost_once())
        except KubeError as error:
            problem = problem_of(error, connection.config.shown_server)
            raise Problem(problem.message, NOT_ASKED) from error
        if ending is None:
            click.echo(
                f"workflow {name} has not ended within {_limit(timeout)}; "
                f"kubectl workflow why {name} says what it waits for",
                err=True,
            )
            codes.append(TIMED_OUT)
            continue
        took = f" after {shown(ending.seconds)}" if ending.seconds is not None else ""
        why = f": {ending.reason}: {ending.message}" if ending.phase == "Failed" else ""
        click.echo(printable(f"workflow {name} {_SHOWN[ending.phase]}{took}{why}"))
        codes.append(OK if ending.phase == "Succeeded" else FAILED)
    return FAILED if FAILED in codes else max(codes, default=OK)


def _limit(timeout: float | None) -> str:
    from pkg.views.durations import shown

    # `shown` has tenths of a second at most.
    return f"{timeout * 1000:.3g}ms" if timeout and 0 < timeout < 0.1 else shown(timeout)


def lost_once() -> Callable[[KubeError], None]:
    """Says once that the API server cannot be reached, on standard error; the command goes on trying."""
    said: list[str] = []

    def say(error: KubeError) -> None:
        if not said:
            said.append(error.message)
            click.echo(f"{printable(error.message)}; trying again until it answers", err=True)

    return say
