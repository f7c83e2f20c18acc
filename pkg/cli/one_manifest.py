"""The one Workflow of some manifests that a verb works on, with the templates in the same files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pkg.apis.flow.v1alpha1.faults import Faults
from pkg.apis.flow.v1alpha1.types import CronWorkflow, Workflow, WorkTemplate
from pkg.cli.files import read_files
from pkg.cli.names import without_prefix
from pkg.cli.problems import Problem
from pkg.views.convertible import convert_hint
from pkg.views.lint import Read, read_objects


class Found(NamedTuple):
    """A Workflow, and by name what is in its namespace: templates, and the data of ConfigMaps.

    read: everything in the files.
    """

    workflow: Workflow
    templates: Mapping[str, WorkTemplate]
    config_maps: Mapping[str, Mapping[str, str]]
    read: Read


def read_one_manifest(paths: Iterable[str], name: str = "") -> Found:
    """The Workflow of that name, or the only one there is, with what is in its namespace.

    A CronWorkflow stands for the Workflow that it makes. Raises Problem: of several it says which there are, and of
    manifests that cannot be read what is wrong.
    """
    name = without_prefix(name)
    read = read_objects(read_files(paths))
    if read.findings:
        more = f" (and {len(read.findings) - 1} more; kubectl workflow lint shows all)" if read.findings[1:] else ""
        raise Problem(f"{read.findings[0]}{more}")
    there = {f"Workflow {_name(found)}": found for _, found in read.workflows.values()}
    crons = {f"CronWorkflow {_name(cron)}": cron for _, cron in read.crons.values()}
    titles = [title for title in (*there, *crons) if not name or title.partition(" ")[2] == name]
    if len(titles) != 1:
        listed = ", ".join(sorted((*there, *crons)))
        if not listed:
            raise Problem(f"the files have no Workflow and no CronWorkflow{convert_hint(read.other)}")
        if not titles:
            raise Problem(f"the files have no Workflow {name}; they have {listed}")
        if name:
            raise Problem(f"the files have several of that name: {listed}; give the files of one of them")
        raise Problem(f"the files have several Workflows; name one of them: {listed}")
    found = there.get(titles[0]) or _run(crons[titles[0]])
    namespace = found.metadata.namespace or "default"
    templates = {key[1]: template for key, (_, template) in read.templates.items() if key[0] == namespace}
    return Found(found, templates, dict(_config_maps(read, namespace)), read)


def _config_maps(read: Read, namespace: str) -> Iterator[tuple[str, dict[str, str]]]:
    for document in read.other:
        meta, data = document.metadata, document.raw.get("data")
        is_own = (meta.get("namespace") or "default") == namespace
        if document.kind == "ConfigMap" and is_own and isinstance(data, dict):
            yield str(meta.get("name")), {str(key): str(value) for key, value in data.items()}


def _run(cron: CronWorkflow) -> Workflow:
    from msgspec.structs import replace

    from pkg.apis.flow.v1alpha1.cron_faults import template_spec
    from pkg.views.cron_manifest import run_of

    spec = template_spec(cron.spec)
    if isinstance(spec, Faults):
        raise Problem(f"CronWorkflow {_name(cron)}: {spec[0]}; kubectl workflow lint shows where")
    found = run_of(cron)
    return replace(found, metadata=replace(found.metadata, name=_name(cron), generate_name=""))


def _name(found: Workflow | CronWorkflow) -> str:
    return found.metadata.name or found.metadata.generate_name
