"""`delete`: deletes workflows with their jobs, by name or many at once."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from pkg.cli.arguments import WORKFLOW
from pkg.cli.confirm import confirm
from pkg.cli.connection import Connection, cluster_options
from pkg.cli.files import WRONG_USAGE
from pkg.cli.output import echo
from pkg.cli.problems import Problem, problem_of
from pkg.cli.selecting import selected_by
from pkg.kube.errors import KubeError, NotFound

if TYPE_CHECKING:
    from pkg.views.briefs import Brief

_NAMED: Final = 10


@click.command("delete")
@click.argument("names", type=WORKFLOW, nargs=-1, metavar="NAME...")
@click.option("-l", "--selector", default="", metavar="LABELS", help="Workflows with these labels, such as team=a.")
@click.option(
    "--phase",
    "phases",
    multiple=True,
    metavar="PHASE",
    callback=selected_by("parse_phases"),
    help="Workflows in this phase, such as Succeeded,Failed.",
)
@click.option(
    "--older",
    default="",
    metavar="AGE",
    callback=selected_by("parse_age"),
    help="Workflows that ended longer ago than this, such as 7d or 12h.",
)
@click.option("--all", "is_all", is_flag=True, help="All workflows, also those that still run.")
@click.option("--keep-jobs", is_flag=True, help="Leave the jobs in the cluster; nobody looks after them then.")
@click.option("--dry-run", is_flag=True, help="List what would be deleted, and delete nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@cluster_options(all_namespaces=True)
def command(
    connection: Connection,
    names: tuple[str, ...],
    selector: str,
    phases: Any,
    older: Any,
    is_all: bool,
    keep_jobs: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Delete workflows with their jobs.

    By name; or many, by labels, phase and age. Without --phase and --all only those that have ended are chosen.
    """
    from pkg.views.briefs import list_briefs
    from pkg.views.selections import Selection

    filters = bool(selector or phases or is_all) or older != ""
    if names and filters:
        raise Problem("name workflows or choose them with -l, --phase, --older or --all, not both", WRONG_USAGE)
    if not names and not filters:
        raise Problem("name workflows, or choose them with -l, --phase, --older or --all", WRONG_USAGE)
    if names and connection.all_namespaces:
        raise Problem("-A needs -l, --phase, --older or --all: a name belongs to one namespace", WRONG_USAGE)
    if is_all and phases:
        raise Problem("--all means every phase; leave --all or --phase away", WRONG_USAGE)
    failed = 0
    if names:
        chosen, failed = _named(connection, dict.fromkeys(names))
    else:
        selection = Selection(phases or frozenset(), is_all, older or 0.0)
        now = time.time()
        listed = list_briefs(connection.client, connection.scope, label_selector=selector)
        chosen = [brief for brief in listed if selection.has(brief, now)]
    if dry_run:
        echo(f"{_title(connection, brief)} would be deleted ({_described(brief)})" for brief in chosen)
        click.echo(f"{_counted(len(chosen))} would be deleted", err=True)
    elif not chosen and not names:
        click.echo("no workflow to delete", err=True)
    elif chosen:
        if filters or len(chosen) > 1:
            confirm(_question(chosen), yes=yes)
        failed += _delete(connection, chosen, "Orphan" if keep_jobs else "Background")
    if failed:
        raise click.exceptions.Exit(1)


def _named(connection: Connection, names: Iterable[str]) -> tuple[list[Brief], int]:
    """The workflows of these names, and how many could not be read, which was said."""
    from pkg.views.briefs import read_brief

    found, failed = [], 0
    for name in names:
        try:
            brief = read_brief(connection.client, connection.namespace, name)
        except KubeError as error:
            problem_of(error, connection.client.server).show()
            failed += 1
            continue
        if brief.is_deleting:
            click.echo(f"workflow/{name} is being deleted already")
        else:
            found.append(brief)
    return found, failed


def _delete(connection: Connection, chosen: list[Brief], propagation: str) -> int:
    """Deletes them, several at a time, with a line for each; how many that failed for."""
    from pkg.apis.flow.v1alpha1.types import WORKFLOWS
    from pkg.cli.many import each

    client, failed = connection.client, 0

    def delete(brief: Brief) -> None:
        meta = brief.metadata
        client.delete(WORKFLOWS, meta.namespace, meta.name, uid=meta.uid, propagation=propagation)

    for brief, error in each(chosen, delete, "deleted"):
        title = _title(connection, brief)
        if error is None:
            click.echo(f"{title} deleted")
        elif isinstance(error, NotFound):
            click.echo(f"{title} is gone already")
        else:
            Problem(f"{title}: {problem_of(error, client.server).message}").show()
            failed += 1
    return failed


def _question(chosen: list[Brief]) -> str:
    names = ", ".join(brief.metadata.name for brief in chosen[:_NAMED])
    more = f" and {len(chosen) - _NAMED:,} more" if len(chosen) > _NAMED else ""
    running = sum(not brief.is_final for brief in chosen)
    still = f" {running:,} of them {'has' if running == 1 else 'have'} not ended." if running else ""
    return f"{names}{more}.{still} Delete {_counted(len(chosen))} with {'its' if len(chosen) == 1 else 'their'} jobs?"


def _described(brief: Brief) -> str:
    from pkg.views.durations import shown
    from pkg.views.selections import age

    time_ago = shown(age(brief, time.time()))
    return f"{brief.phase}, {'ended' if brief.is_final else 'created'} {time_ago} ago"


def _title(connection: Connection, brief: Brief) -> str:
    where = f" in {brief.metadata.namespace}" if connection.all_namespaces else ""
    return f"workflow/{brief.metadata.name}{where}"


def _counted(number: int) -> str:
    return f"{number:,} workflow{'' if number == 1 else 's'}" if number else "no workflow"
