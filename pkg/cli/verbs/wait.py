"""`wait`: until Workflows have ended."""

from __future__ import annotations

from typing import Any

import click

from pkg.cli.arguments import WORKFLOW
from pkg.cli.connection import Connection, cluster_options
from pkg.cli.problems import NOT_ASKED, Problem
from pkg.cli.waiting import DURATION, wait_for_ends


class _Wait(click.Command):
    """A command whose every error has an exit code of its own: 1 and 2 say something about the workflow."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.exit_code = NOT_ASKED  # type: ignore[misc]  # click reads it of the instance
            raise
        except Problem as problem:  # a name that cannot be one
            raise Problem(problem.message, NOT_ASKED) from problem

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Problem as problem:
            raise Problem(problem.message, NOT_ASKED) from problem


@click.command("wait", cls=_Wait)
@click.argument("names", type=WORKFLOW, nargs=-1, required=True, metavar="NAME...")
@click.option("--timeout", type=DURATION, default=None, metavar="DURATION", help="Such as 90s, 1h30m. Default: none.")
@cluster_options
@click.pass_context
def command(context: click.Context, connection: Connection, names: tuple[str, ...], timeout: float | None) -> None:
    """Wait until Workflows have ended.

    Exit code 0: all succeeded. 1: one failed. 2: the time is up. 3: it could not be asked, which one line says.
    """
    context.exit(wait_for_ends(connection, names, timeout))
