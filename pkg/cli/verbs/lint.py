"""`lint`: checks manifests of Workflows, WorkTemplates and CronWorkflows as the webhook does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import click

from pkg.cli.connection import Connection, cluster_options
from pkg.cli.files import read_files
from pkg.cli.output import clean

if TYPE_CHECKING:
    from pkg.views.lint import Finding

KINDS: Final = ("Workflow", "WorkTemplate", "CronWorkflow")


@click.command("lint", short_help="Check manifests of Workflows, WorkTemplates and CronWorkflows.")
@click.argument("paths", nargs=-1, metavar="[FILE|FOLDER|-]...")
@click.option(
    "-f", "--filename", "named", multiple=True, metavar="FILE", help="The same as an argument, as in kubectl."
)
@click.option("-R", "--recursive", is_flag=True, help="Look into the folders of a folder too.")
@click.option(
    "--running",
    multiple=True,
    metavar="FILE",
    help="Manifests of workflows that run already: FILE must be a change that is allowed after the start.",
)
@click.option("--server", is_flag=True, help="Ask the API server as well, in a strict dry run that stores nothing.")
@cluster_options
@click.pass_context
def command(
    context: click.Context,
    connection: Connection,
    paths: tuple[str, ...],
    named: tuple[str, ...],
    running: tuple[str, ...],
    recursive: bool,
    server: bool,
) -> None:
    """Check manifests of Workflows, WorkTemplates and CronWorkflows, without a cluster unless --server is given.

    Prints each fault as path:line:column, and exits 1 if there is one. Warnings are printed too, but do not count.
    Objects of other kinds in the files are passed over. Templates are looked up in the same files.
    """
    from pkg.views.convertible import convert_hint
    from pkg.views.lint import has_faults, is_elsewhere, judged, read_objects, sorted_findings

    if not paths and not named:
        raise click.UsageError("name a file, a folder, or - for what comes through a pipe")
    texts = read_files([*paths, *named], recursive=recursive)
    earlier = read_files(running, recursive=recursive)
    read, before = read_objects(texts), read_objects(earlier)
    found = [*before.findings, *read.findings, *judged(read, before)]
    if server:
        from pkg.cli.placing import namespace_of
        from pkg.views.server_lint import tried

        found = [finding for finding in found if not is_elsewhere(finding)]
        found += tried(connection.client, read, lambda document: namespace_of(connection, document), tuple(found))
    found = sorted_findings(found, [*earlier, *texts])
    for finding in found:
        click.echo(clean(str(finding)))
    summary = _summary(len(texts), {kind: read.count(kind) for kind in KINDS}, found)
    click.echo(clean(f"{summary}{convert_hint(read.other)}"), err=True)
    context.exit(1 if has_faults(found) else 0)


def _summary(files: int, objects: Mapping[str, int], found: list[Finding]) -> str:
    faults = sum(not finding.is_warning for finding in found)
    where = counted(files, "file")
    if not any(objects.values()) and not found:
        return f"{where}: no {', no '.join(KINDS[:-1])} and no {KINDS[-1]} in {'it' if files == 1 else 'them'}"
    # CronWorkflows are named where there are some.
    named = [kind for kind in KINDS if objects[kind] or kind != "CronWorkflow"]
    what = ", ".join(counted(objects[kind], kind) for kind in named)
    return f"{where}, {what}: {counted(faults, 'fault')}, {counted(len(found) - faults, 'warning')}"


def counted(number: int, what: str) -> str:
    """`1 file`, `no files`, `1,200 files`."""
    return f"{f'{number:,}' if number else 'no'} {what}{'' if number == 1 else 's'}"
