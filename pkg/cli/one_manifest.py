"""The one Workflow of some manifests that a verb works on, with the templates in the same files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pkg.apis.flow.v1alpha1.types import Workflow, WorkTemplate
from pkg.cli.files import read_files
from pkg.cli.problems import Problem
from pkg.views.lint import read_objects


def read_one_manifest(paths: Iterable[str], name: str = "") -> tuple[Workflow, Mapping[str, WorkTemplate]]:
    """The Workflow of that name, or the only one there is, and the templates of its namespace by name.

    Raises Problem: of several it says which there are, and of manifests that cannot be read what is wrong.
    """
    read = read_objects(read_files(paths))
    if read.findings:
        more = f" (and {len(read.findings) - 1} more; kubectl workflow lint shows all)" if read.findings[1:] else ""
        raise Problem(f"{read.findings[0]}{more}")
    found = [workflow for _, workflow in read.workflows.values() if not name or _name(workflow) == name]
    if len(found) != 1:
        there = ", ".join(sorted(_name(workflow) for _, workflow in read.workflows.values()))
        if not there:
            raise Problem("the files have no Workflow")
        if not found:
            raise Problem(f"the files have no Workflow {name}; they have {there}")
        raise Problem(f"the files have several Workflows; name one of them: {there}")
    namespace = found[0].metadata.namespace or "default"
    templates = {key[1]: template for key, (_, template) in read.templates.items() if key[0] == namespace}
    return found[0], templates


def _name(workflow: Workflow) -> str:
    return workflow.metadata.name or workflow.metadata.generate_name
