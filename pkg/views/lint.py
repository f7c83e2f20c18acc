"""Checks manifests of Workflows, WorkTemplates and CronWorkflows as the webhook does. Pure: texts in, findings out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pkg.apis.flow.v1alpha1.approvals import creation_faults
from pkg.apis.flow.v1alpha1.edges import read_edges
from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.types import API_VERSION, GROUP, CronWorkflow, Workflow, WorkflowSpec, WorkTemplate
from pkg.views.copies import with_parameters
from pkg.views.manifests.documents import Document, read_documents
from pkg.views.manifests.nodes import ManifestError, Position
from pkg.webhooks.admit.crons import CronJudgement, read_template
from pkg.webhooks.admit.objects import KINDS, read_strictly
from pkg.webhooks.admit.templates import template_faults, template_warnings
from pkg.webhooks.admit.workflows import Around, Before, Judgement

_ELSEWHERE: Final = 'WorkTemplate "{}" is not in these files, so this flow is checked without it'
# A place in the template of a flow: `spec.flows[0] (template step).jobSpec.x`.
_IN_TEMPLATE: Final = re.compile(r"spec(?:\.workflowTemplate\.spec)?\.flows\[\d+\] \(template ([^)]+)\)\.")
_OF_PARAMETERS: Final = re.compile(r"spec(?:\.workflowTemplate\.spec)?\.parameters\[\d+\]\.name\Z")
Name = tuple[str, str]  # namespace and name


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, or something allowed but probably not meant (`is_warning`), with its place in a file.

    title: the object, such as `Workflow nightly`; empty where the file cannot be read.
    """

    file: str
    at: Position
    title: str
    fault: Fault
    is_warning: bool = False

    def __str__(self) -> str:
        title = f"{self.title}: " if self.title else ""
        return f"{self.file}:{self.at}: {'warning: ' if self.is_warning else ''}{title}{self.fault}"


@dataclass(frozen=True, slots=True)
class Read:
    """The objects of some files. other: documents of other kinds; findings: what could not be read, and why.

    unread: objects whose form is wrong, with namespace and name.
    """

    workflows: dict[Name, tuple[Document, Workflow]] = field(default_factory=dict)
    templates: dict[Name, tuple[Document, WorkTemplate]] = field(default_factory=dict)
    crons: dict[Name, tuple[Document, CronWorkflow]] = field(default_factory=dict)
    other: list[Document] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    unread: list[tuple[Name, Document]] = field(default_factory=list)

    def count(self, kind: str) -> int:
        """How many objects of a kind there are, those with faults included."""
        read: Mapping[Name, Any] = self._of(kind)
        return len(read) + sum(document.kind == kind for _, document in self.unread)

    def _of(self, kind: str) -> dict[Name, Any]:
        by_kind: dict[str, dict[Name, Any]] = {
            "Workflow": self.workflows,
            "WorkTemplate": self.templates,
            "CronWorkflow": self.crons,
        }
        return by_kind[kind]

    def of(self, found: Workflow | WorkTemplate | CronWorkflow) -> dict[Name, Any]:
        """The objects of the kind of this one."""
        return self._of(type(found).__name__)


def lint(files: Mapping[str, str], running: Mapping[str, str] | None = None) -> list[Finding]:
    """Every finding in the files, given as name and text, in the order of the files and of their lines.

    Templates are looked up in the same files, by namespace and name. `running` has manifests of workflows that run
    already: changes to the Workflow of the same namespace and name in `files` must be allowed.
    """
    before = read_objects(running or {})
    read = read_objects(files)
    return sorted_findings([*before.findings, *read.findings, *judged(read, before)], [*(running or {}), *files])


def sorted_findings(found: Iterable[Finding], files: Iterable[str]) -> list[Finding]:
    """The findings in the order of the files and of their lines."""
    order = {file: at for at, file in enumerate(files)}
    return sorted(found, key=lambda finding: (order[finding.file], finding.at))


def judged(read: Read, before: Read | None = None) -> list[Finding]:
    """What is wrong with objects whose form is right. before: workflows that run already."""
    found: list[Finding] = []
    specs = {name: read_edges(template.spec) for name, (_, template) in read.templates.items()}
    faulty: set[Name] = set()
    for name, (document, template) in read.templates.items():
        faults = template_faults(template.spec)
        if faults:
            faulty.add(name)
        found += _findings(document, faults or template_warnings(template.spec), is_warning=not faults)

    def around(namespace: str, spec: WorkflowSpec) -> Around:
        used = set(spec.template_names)
        own = {template: specs[namespace, template] for template in used if (namespace, template) in specs}
        unread = {template for (where, template), _ in read.unread if where == namespace}
        own_faulty = {template for where, template in faulty if where == namespace}
        return Around(own, used - own.keys() - unread, _ELSEWHERE, faulty=own_faulty)

    def add(
        document: Document, namespace: str, judgement: Judgement | CronJudgement, known: Around, more: Faults
    ) -> None:
        templates = {template: read.templates[namespace, template][0] for template in known.templates}
        faults = judgement.faults() + more
        found.extend(_findings(document, faults, templates))
        warnings = judgement.missing() if faults else judgement.warnings()
        found.extend(_findings(document, warnings, templates, is_warning=True))

    for name, (document, workflow) in read.workflows.items():
        known = around(name[0], workflow.spec)
        old = Before(before.workflows[name][1].spec) if before is not None and name in before.workflows else None
        is_manifest = not workflow.metadata.uid  # and no object of a cluster
        more = Faults(creation_faults(workflow.spec)) if is_manifest else Faults()
        add(document, name[0], Judgement(workflow.spec, workflow.metadata, known, old), known, more)
    for name, (document, cron) in read.crons.items():
        spec = read_template(cron)
        known = Around() if isinstance(spec, Faults) else around(name[0], spec)
        add(document, name[0], CronJudgement(cron, spec, known), known, Faults())
    return found


def _findings(
    document: Document, faults: Faults, templates: Mapping[str, Document] | None = None, *, is_warning: bool = False
) -> Iterator[Finding]:
    for fault in faults:
        file, at = _place(document, fault.path, templates or {})
        yield Finding(file, at, document.title, fault, is_warning)
    if faults.others:
        fault = Fault("", f"{faults.others} more like these are not shown")
        yield Finding(document.file, document.place(""), document.title, fault, is_warning)


def _place(document: Document, path: str, templates: Mapping[str, Document]) -> tuple[str, Position]:
    """The file and the place of a field; in the template, where the path leads into the template of a flow."""
    match = _IN_TEMPLATE.match(path)
    template = templates.get(match[1]) if match is not None else None
    if match is None or template is None:
        return document.file, document.place(path)
    return template.file, template.place(f"spec.{path[match.end() :]}")


def read_objects(files: Mapping[str, str], parameters: Mapping[str, str] | None = None) -> Read:
    """The objects in texts, given with the names of their files. Nothing is raised: faults are in `findings`.

    parameters: values that replace those in the spec.parameters of every Workflow and of every CronWorkflow's template.
    """
    read = Read()
    for file, text in files.items():
        try:
            for document in read_documents(file, text):
                _add(read, replace(document, raw=_given(document, parameters or {})))
        except ManifestError as error:
            read.findings.append(Finding(file, error.at, "", Fault("", error.message)))
    return read


def _given(document: Document, parameters: Mapping[str, str]) -> Any:
    """The object with these parameters."""
    raw = document.raw
    if not parameters or document.kind not in ("Workflow", "CronWorkflow"):
        return raw
    if document.kind == "Workflow":
        return with_parameters(raw, parameters)
    spec = raw.get("spec")
    template = spec.get("workflowTemplate") if isinstance(spec, dict) else None
    if not isinstance(template, dict):
        return raw
    return {**raw, "spec": {**spec, "workflowTemplate": with_parameters(template, parameters)}}


def _add(read: Read, document: Document) -> None:
    if document.raw is not None and not isinstance(document.raw, dict):
        fault = Fault("", f"a manifest is an object with apiVersion, kind and metadata, not {_form(document.raw)}")
        read.findings.append(Finding(document.file, document.place(""), "", fault))
    elif document.kind in KINDS and not document.api_version:
        read.findings.extend(_findings(document, Faults([Fault("apiVersion", f"must be given: {API_VERSION}")])))
        read.unread.append((_name(document), document))
    elif not document.api_version.startswith(f"{GROUP}/"):
        read.other.append(document)
    elif document.api_version != API_VERSION:
        text = f"must be {API_VERSION}, not {document.api_version}"
        read.findings.extend(_findings(document, Faults([Fault("apiVersion", text)])))
    elif document.kind not in KINDS:
        text = f"must be {' or '.join(KINDS)}, not {document.kind or 'absent'}"
        read.findings.extend(_findings(document, Faults([Fault("kind", text)])))
    else:
        _add_ours(read, document)


def _add_ours(read: Read, document: Document) -> None:
    decoded = read_strictly(document.raw, KINDS[document.kind])
    if isinstance(decoded, Faults):
        read.findings.extend(_findings(document, decoded))
        read.unread.append((_name(document), document))
        return
    # Every object that is created with generateName is another one.
    name = (decoded.metadata.namespace or "default", decoded.metadata.name or document.at())
    known = read.of(decoded)
    if name in known:
        text = f"the same object is also at {known[name][0].at()}; keep one"
        read.findings.extend(_findings(document, Faults([Fault("metadata.name", text)])))
    else:
        known[name] = (document, decoded)


def _name(document: Document) -> Name:
    return str(document.metadata.get("namespace") or "default"), str(document.metadata.get("name"))


def _form(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else "text"


def is_elsewhere(finding: Finding) -> bool:
    """Whether the finding is that a template is in none of the files: it may be in the cluster."""
    return finding.is_warning and finding.fault.message.endswith(_ELSEWHERE.partition("{}")[2])


def is_unused(finding: Finding, parameters: Collection[str]) -> bool:
    """Whether the finding is that nothing uses one of these parameters of a Workflow."""
    fault = finding.fault
    return finding.is_warning and _OF_PARAMETERS.match(fault.path) is not None and fault.value in parameters


def has_faults(found: Iterable[Finding]) -> bool:
    """Whether a finding is more than a warning."""
    return any(not finding.is_warning for finding in found)
