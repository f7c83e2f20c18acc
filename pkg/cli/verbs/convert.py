"""`convert`: manifests of Argo Workflows, Volcano JobFlow and Tekton as ours."""

from __future__ import annotations

import click

from pkg.cli.files import read_files
from pkg.cli.output import clean
from pkg.cli.problems import OK, Problem

#: Something of the input has no word here.
LOSSES = 1
UNREADABLE = 2


@click.command("convert", short_help="Convert manifests of Argo, Volcano JobFlow and Tekton to Workflows.")
@click.argument("paths", nargs=-1, metavar="[FILE|FOLDER|-]...")
@click.option(
    "-f", "--filename", "named", multiple=True, metavar="FILE", help="The same as an argument, as in kubectl."
)
@click.option("-R", "--recursive", is_flag=True, help="Look into the folders of a folder too.")
@click.option("--quiet", is_flag=True, help="Say only what is lost, not what should be checked.")
@click.pass_context
def command(
    context: click.Context, paths: tuple[str, ...], named: tuple[str, ...], recursive: bool, quiet: bool
) -> None:
    """Convert Argo Workflows, Volcano JobFlows and Tekton Pipelines to Workflows, CronWorkflows and WorkTemplates.

    Prints our manifests. On standard error it names, as path:line:column, each field that has no word here (lost), and
    each that became something that you should look at (check). Nothing is dropped in silence. Templates, Tasks and
    Pipelines are looked up in the same files; objects of other systems are passed on as they are.

    Exits 0 if nothing is lost, 1 if something is, 2 if a file cannot be read.
    """
    from pkg.convert.convert import Unreadable, convert
    from pkg.views.lint import lint
    from pkg.views.manifests.writing import as_yaml

    if not paths and not named:
        raise click.UsageError("name a file, a folder, or - for what comes through a pipe")
    texts = read_files([*paths, *named], recursive=recursive)
    try:
        result = convert(texts)
    except Unreadable as error:
        raise Problem(str(error), UNREADABLE) from error
    manifests = "---\n".join(as_yaml(made) for made in result.objects)
    click.echo(manifests, nl=False)
    findings = result.findings
    for finding in findings:
        if finding.is_lost or not quiet:
            click.echo(clean(str(finding)), err=True)
    faults = [finding for finding in lint({"result": manifests}) if not finding.is_warning]
    for fault in faults:
        click.echo(clean(f"fault of the result: {fault}"), err=True)
    lost = sum(finding.is_lost for finding in findings)
    checked = len(findings) - lost
    made = len(result.objects)
    click.echo(
        f"{made:,} {'object' if made == 1 else 'objects'} made; {lost:,} {'field' if lost == 1 else 'fields'} lost,"
        f" {checked:,} to check",
        err=True,
    )
    context.exit(LOSSES if lost or faults else OK)
