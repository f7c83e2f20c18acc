"""`submit`: checks Workflows in files, and creates them, with the templates and CronWorkflows beside them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from pkg.cli.connection import Connection, cluster_options
from pkg.cli.files import WRONG_USAGE, read_files
from pkg.cli.following import Follow, follow_options
from pkg.cli.output import clean
from pkg.cli.parameters import parameter_option
from pkg.cli.problems import Problem, problem_of
from pkg.cli.warnings import warn
from pkg.kube.errors import Conflict, Exists, Forbidden, KubeError, NotFound

if TYPE_CHECKING:
    from pkg.apis.flow.v1alpha1.types import CronWorkflow, Workflow, WorkTemplate
    from pkg.views.lint import Read
    from pkg.views.manifests.documents import Document

FIELD_MANAGER: Final = "kubectl-workflow"
#: CRDs that are older than this command would drop a condition or an approval, and the job would run.
_STRICT: Final = "Strict"
# So many templates that are not in the files are looked for in the cluster.
_MAX_ASKED: Final = 20


@click.command("submit")
@click.option(
    "-f", "--filename", "paths", multiple=True, required=True, metavar="FILE", help="File, folder, or - for a pipe."
)
@click.option("-R", "--recursive", is_flag=True, help="Look into the folders of a folder too.")
@parameter_option
@click.option("--generate-name", is_flag=True, help="Give each Workflow a new name: its own and five characters.")
@click.option(
    "--force-conflicts",
    is_flag=True,
    help="Also change fields that another program manages.",
)
@click.option("--dry-run", is_flag=True, help="Let the API server check everything, and store nothing.")
@click.option("-o", "--output", type=click.Choice(["text", "name"]), default="text", help="name: names alone.")
@follow_options
@cluster_options
def command(
    connection: Connection,
    paths: tuple[str, ...],
    recursive: bool,
    parameters: dict[str, str],
    generate_name: bool,
    force_conflicts: bool,
    dry_run: bool,
    output: str,
    follow: Follow,
) -> None:
    """Create the Workflows in files, after the WorkTemplates and CronWorkflows beside them.

    All of it is checked first, as `lint` does: nothing is sent if there is a fault. WorkTemplates and CronWorkflows
    that exist are changed as `kubectl apply --server-side` does it; a Workflow that exists is left alone, and that is
    an error.
    """
    from pkg.cli.placing import namespace_of
    from pkg.views.lint import read_objects

    read = _checked(connection, read_objects(read_files(paths, recursive=recursive), parameters))
    follow.check(len(read.workflows))
    say = click.echo if output == "text" else _silent
    mode = " (dry run)" if dry_run else ""
    applied: list[tuple[Document, WorkTemplate | CronWorkflow]] = [*read.templates.values(), *read.crons.values()]
    for document, found in applied:
        name, namespace = found.metadata.name, namespace_of(connection, document)
        done = _apply(connection, document, namespace, name, force=force_conflicts, dry_run=dry_run)
        say(f"{document.kind.lower()}/{name} {done}{mode}")
    made: list[tuple[str, str]] = []
    stored: list[tuple[Document, Workflow]] = []
    failed = 0
    for document, workflow in read.workflows.values():
        name = _create(connection, document, workflow, generate_name=generate_name, dry_run=dry_run)
        failed += not name
        if name:
            stored.append((document, workflow))
            made.append((namespace_of(connection, document), name))
            click.echo(f"workflow/{name} created{mode}" if output == "text" else f"workflow.flow.workflow.sh/{name}")
    if not dry_run:
        _warn_of_missing(connection, read, stored)
    if failed:
        raise click.exceptions.Exit(1)
    if not dry_run:
        follow.run(connection, made)


def _silent(_text: str) -> None:
    """Takes the place of click.echo."""


def _checked(connection: Connection, read: Read) -> Read:
    """The objects, if there are any and all of them are right. Prints warnings; raises Problem."""
    from pkg.apis.flow.v1alpha1.types import API_VERSION
    from pkg.cli.placing import namespace_of
    from pkg.views.convertible import convert_call, is_convertible
    from pkg.views.lint import has_faults, is_elsewhere, judged

    findings = [finding for finding in (*read.findings, *judged(read)) if not is_elsewhere(finding)]
    for finding in findings:
        click.echo(clean(str(finding)), err=True)
    if has_faults(findings):
        raise Problem("nothing was submitted: correct these faults first")
    for other in read.other:
        if is_convertible(other):
            raise Problem(
                f"{other.at()}: submit takes Workflows, WorkTemplates and CronWorkflows of {API_VERSION}, and this is"
                f" {other.title} of {other.api_version}; nothing was submitted. {convert_call(other)} translates it"
            )
        raise Problem(
            f"{other.at()}: submit takes Workflows, WorkTemplates and CronWorkflows, and this is {other.title};"
            " nothing was submitted."
            " kubectl apply -f takes all kinds"
        )
    if not read.workflows and not read.templates and not read.crons:
        raise Problem("there is no Workflow in these files", WRONG_USAGE)
    for document, _ in (*read.workflows.values(), *read.templates.values(), *read.crons.values()):
        namespace_of(connection, document)
    for document, cron in read.crons.values():
        if not cron.metadata.name:
            raise Problem(f"{document.at()}: a CronWorkflow needs metadata.name, and has none; nothing was submitted")
    return read


def _placed(document: Document, namespace: str) -> dict[str, Any]:
    return {**document.raw, "metadata": {**document.metadata, "namespace": namespace}}


def _apply(connection: Connection, document: Document, namespace: str, name: str, *, force: bool, dry_run: bool) -> str:
    """Makes or changes a template or a CronWorkflow; says which."""
    from pkg.apis.flow.v1alpha1.types import CRONWORKFLOWS, WORKTEMPLATES
    from pkg.apis.meta import PartialObject

    client, gvr = connection.client, CRONWORKFLOWS if document.kind == "CronWorkflow" else WORKTEMPLATES
    before = ""
    with contextlib.suppress(NotFound, Forbidden):
        before = client.get(gvr, namespace, name, PartialObject, metadata_only=True).metadata.resource_version
    try:
        after = client.apply(
            gvr,
            namespace,
            name,
            _placed(document, namespace),
            PartialObject,
            field_manager=FIELD_MANAGER,
            field_validation=_STRICT,
            force=force,
            dry_run=dry_run,
            on_warnings=warn,
        )
    except Conflict as error:
        raise Problem(
            f"{document.at()}: {document.title} is managed by another program too: {error.message};"
            " --force-conflicts changes its fields all the same. No Workflow was submitted"
        ) from error
    except KubeError as error:
        problem = problem_of(error, client.server)
        raise Problem(f"{document.at()}: {document.title}: {problem.message}. No Workflow was submitted") from error
    if not before:
        return "created"
    return "unchanged" if after.metadata.resource_version == before else "configured"


def _create(
    connection: Connection, document: Document, workflow: Workflow, *, generate_name: bool, dry_run: bool
) -> str:
    """Creates one Workflow and returns its name; empty if that failed, which was said."""
    from pkg.apis.flow.v1alpha1.types import WORKFLOWS
    from pkg.cli.placing import namespace_of
    from pkg.views.briefs import Brief

    client, namespace = connection.client, namespace_of(connection, document)
    body = _placed(document, namespace)
    if generate_name and workflow.metadata.name:
        metadata = {key: value for key, value in body["metadata"].items() if key != "name"}
        body["metadata"] = {**metadata, "generateName": f"{workflow.metadata.name}-"}
    try:
        made = client.create(
            WORKFLOWS, namespace, body, Brief, field_validation=_STRICT, dry_run=dry_run, on_warnings=warn
        )
    except Exists:
        name = workflow.metadata.name
        state = _state(connection, namespace, name)
        Problem(
            f"{document.at('metadata.name')}: a workflow {name} exists already in {namespace}{state};"
            " add --generate-name to run this one beside it, or delete that one first"
        ).show()
        return ""
    except KubeError as error:
        Problem(f"{document.at()}: {document.title}: {problem_of(error, client.server).message}").show()
        return ""
    return made.metadata.name


def _state(connection: Connection, namespace: str, name: str) -> str:
    from pkg.views.briefs import read_brief

    try:
        found = read_brief(connection.client, namespace, name)
    except KubeError:
        return ""
    return " and is being deleted" if found.is_deleting else f" ({found.phase})"


def _warn_of_missing(connection: Connection, read: Read, stored: Iterable[tuple[Document, Workflow]]) -> None:
    """Names the templates that neither the files nor the cluster have: their flows wait."""
    from pkg.cli.placing import namespace_of

    asked: set[tuple[str, str]] = set()
    own = {(namespace_of(connection, document), found.metadata.name) for document, found in read.templates.values()}
    for document, workflow in stored:
        namespace = namespace_of(connection, document)
        asked |= {(namespace, name) for name in workflow.spec.template_names} - own
    missing = [name for namespace, name in sorted(asked)[:_MAX_ASKED] if _is_missing(connection, namespace, name)]
    if missing:
        listed = ", ".join(missing)
        click.echo(f"warning: there is no WorkTemplate {listed}; flows that use it wait until it exists", err=True)


def _is_missing(connection: Connection, namespace: str, name: str) -> bool:
    from pkg.apis.flow.v1alpha1.types import WORKTEMPLATES
    from pkg.apis.meta import PartialObject

    try:
        connection.client.get(WORKTEMPLATES, namespace, name, PartialObject, metadata_only=True)
    except NotFound:
        return True
    except KubeError:
        return False
    return False
