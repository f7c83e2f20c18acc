"""The command kubectl-workflow. A verb's module is imported when the verb is called, so that the command starts fast.

Exit codes are in `pkg.cli.problems`.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import click

from pkg.cli.problems import usage_problem
from pkg.cli.standard_output import guard
from pkg.version import VERSION

READING: Final = {
    "list": "pkg.cli.verbs.list:command",
    "get": "pkg.cli.verbs.get:command",
    "watch": "pkg.cli.verbs.watch:command",
    "wait": "pkg.cli.verbs.wait:command",
    "why": "pkg.cli.verbs.why:command",
    "logs": "pkg.cli.verbs.logs:command",
    "events": "pkg.cli.verbs.events:command",
    "template": "pkg.cli.verbs.template:command",
    "completion": "pkg.cli.verbs.completion:command",
    "version": "pkg.cli.verbs.version:command",
}
ACTING: Final[dict[str, str]] = {
    "submit": "pkg.cli.verbs.submit:command",
    "suspend": "pkg.cli.verbs.suspend:command",
    "resume": "pkg.cli.verbs.resume:command",
    "stop": "pkg.cli.verbs.stop:command",
    "terminate": "pkg.cli.verbs.terminate:command",
    "approve": "pkg.cli.verbs.approve:command",
    "reject": "pkg.cli.verbs.reject:command",
    "retry": "pkg.cli.verbs.retry:command",
    "resubmit": "pkg.cli.verbs.resubmit:command",
    "delete": "pkg.cli.verbs.delete:command",
    "cron": "pkg.cli.verbs.cron:command",
}
OFFLINE: Final[dict[str, str]] = {
    "lint": "pkg.cli.verbs.lint:command",
    "render": "pkg.cli.verbs.render:command",
    "graph": "pkg.cli.verbs.graph:command",
    "plan": "pkg.cli.verbs.plan:command",
    "convert": "pkg.cli.verbs.convert:command",
}
SECTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "Read": READING,
    "Act": ACTING,
    "Without a cluster": OFFLINE,
}


class Verbs(click.Group):
    """A group whose commands are imported when they are called; `--help` imports all of them.

    Wrong usage is one line.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise usage_problem(error) from error

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = tuple(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise usage_problem(error, words) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        where = next((section[cmd_name] for section in SECTIONS.values() if cmd_name in section), None)
        if where is None:
            return None
        module, _, attribute = where.partition(":")
        found: click.Command = getattr(import_module(module), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in SECTIONS.items():
            found = {name: self.get_command(ctx, name) for name in section}
            rows = [(name, verb.get_short_help_str(100)) for name, verb in found.items() if verb and not verb.hidden]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


@click.command(
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(VERSION, message="%(version)s")
@click.pass_context
def command(context: click.Context) -> None:
    """Workflows from the terminal, as `kubectl workflow VERB` or `kubectl-workflow VERB`.

    It needs no rights but those of the user, and no service but the API server.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> None:
    """Entry point of the console script."""
    # A list of thousands is decoded and printed, and the process ends: a look at all objects in between finds nothing.
    gc.set_threshold(200_000, 50, 100)
    guard()
    command(prog_name="kubectl workflow", complete_var="_KUBECTL_WORKFLOW_COMPLETE")
