"""The errors that a user reads: one line that says what happened, where, and what to do. And the exit codes.

| code | when |
|---|---|
| 0 | done |
| 1 | an error, in one line; of `wait`: the workflow failed; of `lint`: faults; of `convert`: something is lost |
| 2 | wrong usage; of `wait`: the time is up |
| 3 | of `wait` alone: an error, or wrong usage |
| 130 | Ctrl-C |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO, Any, Final

import click

from pkg.cli.output import printable
from pkg.kube.errors import (
    Conflict,
    Denied,
    Exists,
    Forbidden,
    KubeError,
    NotFound,
    Refused,
    Throttled,
    Unauthorized,
    may_mean_not_served,
)

OK: Final = 0
FAILED: Final = 1
TIMED_OUT: Final = 2
NOT_ASKED: Final = 3
INTERRUPTED: Final = 130

#: What is right, by words with which the API server refuses a selector.
_SELECTORS: Final = {
    "field label not supported": "--field-selector takes metadata.name and metadata.namespace, such as"
    " metadata.name=nightly",
    "unable to parse requirement": "write a label selector like team=a,tier!=b or 'team in (a,b)'",
}


class Problem(click.ClickException):
    """An error that ends the command; `message` is one line. `exit_code` is 1 unless given."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        # It may repeat the words of another person, of an object or of a server.
        super().__init__(printable(message))
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it of the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it on standard error."""
        click.echo(f"error: {self.message}", file=file, err=file is None)


def usage_problem(error: click.UsageError, words: Sequence[str] = ()) -> click.ClickException:
    """Wrong usage as one line, with where the right one is said. The help of a group stays what it is.

    words: what was given to the group that read them.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    said = error.format_message().rstrip(".")
    if isinstance(error, click.exceptions.NoSuchCommand):
        from difflib import get_close_matches

        group = error.ctx.command if error.ctx is not None else None
        names = group.list_commands(error.ctx) if isinstance(group, click.Group) and error.ctx is not None else []
        near = get_close_matches(error.command_name[:64], names, n=1)
        said = f'there is no verb "{error.command_name}"' + (f'; did you mean "{near[0]}"?' if near else "")
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        from pkg.cli.misplaced import misplaced

        if right := misplaced(error.ctx, error.option_name, words):
            return Problem(f"{said[:1].lower()}{said[1:]} before the verb; {right}", error.exit_code)
    where = error.ctx.command_path if error.ctx is not None else "kubectl workflow"
    mark = "" if said.endswith("?") else ";"
    return Problem(f"{said[:1].lower()}{said[1:]}{mark} {where} --help says more", error.exit_code)


def problem_of(error: KubeError, server: str) -> Problem:
    """What a failed API call means for the user; `server` is the address of the API server."""
    said = error.message
    if may_mean_not_served(error):
        return Problem(
            f"the API server {server} does not serve this resource: {said}; "
            "install the CRDs of Work-Flow (kubectl apply -f installer/crds/), or choose another cluster with --context"
        )
    if isinstance(error, Unauthorized):
        return Problem(f"the API server {server} does not accept the credentials: {said}; log in again")
    if isinstance(error, Forbidden):
        instead = "name a namespace with -n, or " if said.endswith("at the cluster scope") else ""
        return Problem(f"a right is missing: {said}; {instead}ask whoever manages the cluster for it")
    if isinstance(error, NotFound):
        lists = {"worktemplates": "template list", "cronworkflows": "cron list"}
        verb = lists.get(said.partition(".")[0], "list")
        return Problem(f"{said}; kubectl workflow {verb} shows what there is")
    if isinstance(error, Exists):
        return Problem(f"{said}; choose another name, or delete that one first")
    if isinstance(error, Conflict):
        return Problem(f"{said}; somebody else changed it meanwhile, so run the command again")
    if isinstance(error, Denied | Refused):
        hint = next((right for words, right in _SELECTORS.items() if words in said), "")
        return Problem(f"{said}; {hint}" if hint else said)
    if isinstance(error, Throttled):
        return Problem(f"the API server {server} is busy: {said}; try again in a moment")
    return Problem(f"{said}; is the API server {server} reachable? Try again, or choose another cluster with --context")
