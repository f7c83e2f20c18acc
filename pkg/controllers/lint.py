"""`workflow-controller lint`: checks Workflow and WorkTemplate manifests as the controller does, without a cluster."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_type_hints

import click
import msgspec
import yaml

from pkg.apis.flow.v1alpha1.edges import read_edges
from pkg.apis.flow.v1alpha1.filling import IDENTITY
from pkg.apis.flow.v1alpha1.schema_faults import schema_faults
from pkg.apis.flow.v1alpha1.types import (
    API_VERSION,
    GROUP,
    Parameters,
    Workflow,
    WorkflowSpec,
    WorkTemplate,
    WorkTemplateSpec,
)
from pkg.apis.flow.v1alpha1.updates import validate_update
from pkg.apis.flow.v1alpha1.validation import (
    Fault,
    Faults,
    foreign_variables,
    unused,
    validate_cost,
    validate_template,
    validate_with_templates,
    validate_workflow,
)
from pkg.apis.meta import GVR
from pkg.workloads import near_kind
from pkg.workloads.template_rules import compile_rules

_KINDS: Final[dict[str, type[Workflow | WorkTemplate]]] = {"Workflow": Workflow, "WorkTemplate": WorkTemplate}
Name = tuple[str, str]  # namespace and name


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, or something allowed but probably not meant (`is_warning`); `where` names file, document and object."""

    where: str
    fault: Fault
    is_warning: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {'warning: ' if self.is_warning else ''}{self.fault}"


@dataclass(frozen=True, slots=True)
class _Document:
    """One object of a file; `where` is `file: document 2 (Workflow nightly)`."""

    where: str
    raw: dict[str, Any]


def lint(files: Mapping[str, str], running: Mapping[str, str] | None = None) -> list[Finding]:
    """Every finding in the files, given as name and text.

    Templates are looked up in the same files, by namespace and name. `running` has manifests of workflows that run
    already: changes to the Workflow of the same namespace and name in `files` must be allowed.
    """
    found: list[Finding] = []
    workflows, templates, unread = _objects(files, found)
    specs = {name: template.spec for name, (_, template) in templates.items()}
    before, _, _ = _objects(running or {}, found)
    for where, template in templates.values():
        faults = validate_template(template.spec) + Faults(_rule_faults(template))
        found += _findings(where, faults)
        if not faults:
            found += _findings(where, _template_warnings(template.spec), is_warning=True)
            found += _findings(where, Faults(_kind_warnings(template.spec.gvr.gvr)), is_warning=True)
    for name, (where, workflow) in workflows.items():
        used = {flow.template_name for flow in workflow.spec.flows}
        own = {template: specs[name[0], template] for template in used if (name[0], template) in specs}
        faults = validate_workflow(workflow.spec)
        found += _findings(where, faults)
        found += _findings(where, validate_with_templates(workflow.spec, own))
        if name in before:
            found += _findings(where, validate_update(before[name][1].spec, workflow.spec, started=True))
        elif not faults:
            found += _findings(where, validate_cost(workflow.spec, own, workflow.metadata))
        elsewhere = used - own.keys() - {template for namespace, template in unread if namespace == name[0]}
        found += _findings(where, Faults(_missing(workflow, elsewhere)), is_warning=True)
        if not faults:
            found += _findings(where, _workflow_warnings(workflow.spec, own), is_warning=True)
    return found


def _template_warnings(spec: WorkTemplateSpec) -> Faults:
    """Braces that stay as they are."""
    return (
        foreign_variables(spec.job_spec, "spec.jobSpec")
        + foreign_variables(msgspec.to_builtins(spec.metadata), "spec.metadata")
        + foreign_variables(_values(spec.parameters), "spec.parameters")
    )


def _workflow_warnings(spec: WorkflowSpec, templates: Mapping[str, WorkTemplateSpec]) -> Faults:
    """Parameters that nothing uses, and braces that stay as they are."""
    found = foreign_variables(_values(spec.parameters), "spec.parameters")
    for at, flow in enumerate(spec.flows):
        found += foreign_variables(_values(flow.parameters), f"spec.flows[{at}].parameters")
        found += foreign_variables(flow.patch, f"spec.flows[{at}].patch")
        found += Faults(_without_effect(flow.patch, f"spec.flows[{at}].patch"))
    return unused(spec, {name: read_edges(template) for name, template in templates.items()}) + found


def _without_effect(patch: Any, path: str) -> Iterator[Fault]:
    """Where a patch changes what only the controller sets."""
    message = "the controller sets this itself, so it has no effect"
    if isinstance(patch, dict) and isinstance(patch.get("metadata"), dict):
        yield from (Fault(f"{path}.metadata.{key}", message) for key in IDENTITY if key in patch["metadata"])
    for at, step in enumerate(patch if isinstance(patch, list) else []):
        if isinstance(step, dict) and str(step.get("path", "")).split("/")[1:3] in [
            ["metadata", key] for key in IDENTITY
        ]:
            yield Fault(f"{path}[{at}].path", message)


def _values(parameters: Parameters) -> list[dict[str, str]]:
    return [{"value": parameter.value or ""} for parameter in parameters]


def _findings(where: str, faults: Faults, *, is_warning: bool = False) -> Iterator[Finding]:
    for fault in faults:
        yield Finding(where, fault, is_warning)
    if faults.others:
        yield Finding(where, Fault("", f"{faults.others} more like these are not shown"), is_warning)


def _rule_faults(template: WorkTemplate) -> Iterator[Fault]:
    if template.spec.has_status_rules and (text := compile_rules(template).fault):
        path, _, message = text.removeprefix(f"WorkTemplate {template.metadata.name}: ").partition(": ")
        yield Fault(path, message)


def _kind_warnings(gvr: GVR) -> Iterator[Fault]:
    if meant := near_kind(gvr):
        yield Fault("spec.gvr", f"{gvr} is not known here; did you mean {meant}?")


def _missing(workflow: Workflow, elsewhere: Set[str]) -> Iterator[Fault]:
    for at, flow in enumerate(workflow.spec.flows):
        if flow.template_name in elsewhere:
            message = f'WorkTemplate "{flow.template_name}" is not in these files, so this flow is checked without it'
            yield Fault(f"spec.flows[{at}].template", message)


def _objects(
    files: Mapping[str, str], found: list[Finding]
) -> tuple[dict[Name, tuple[str, Workflow]], dict[Name, tuple[str, WorkTemplate]], set[Name]]:
    """The Workflows, the WorkTemplates, and the names of objects whose form is wrong. Faults go to `found`."""
    unread: set[Name] = set()
    workflows: dict[Name, tuple[str, Workflow]] = {}
    templates: dict[Name, tuple[str, WorkTemplate]] = {}
    for file, text in files.items():
        for document in _documents(file, text, found):
            decoded, faults = _decode(document.raw)
            found += _findings(document.where, faults)
            if decoded is None:
                metadata = document.raw.get("metadata")
                if isinstance(metadata, dict):
                    unread.add((str(metadata.get("namespace") or "default"), str(metadata.get("name"))))
                continue
            # Every object that is created with generateName is another one.
            name = (decoded.metadata.namespace or "default", decoded.metadata.name or document.where)
            known: Mapping[Name, Any] = workflows if isinstance(decoded, Workflow) else templates
            if name in known:
                fault = Fault("metadata.name", f"the same object is also in {known[name][0]}; keep one")
                found.append(Finding(document.where, fault))
            elif isinstance(decoded, Workflow):
                workflows[name] = (document.where, decoded)
            else:
                templates[name] = (document.where, decoded)
    return workflows, templates, unread


def _documents(file: str, text: str, found: list[Finding]) -> Iterator[_Document]:
    """The documents of our kinds; others are skipped, and the items of a List count as documents."""
    number = 0
    try:
        for number, raw in enumerate(yaml.load_all(text, _Loader), 1):
            items = raw.get("items") if isinstance(raw, dict) and raw.get("kind") == "List" else [raw]
            for item in items if isinstance(items, list) else []:
                if not isinstance(item, dict) or not str(item.get("apiVersion")).startswith(f"{GROUP}/"):
                    continue
                metadata = item.get("metadata")
                name = metadata.get("name") if isinstance(metadata, dict) else None
                where = f"{file}: document {number} ({item.get('kind', 'no kind')} {name or 'without a name'})"
                if item["apiVersion"] != API_VERSION:
                    found.append(
                        Finding(where, Fault("apiVersion", f"must be {API_VERSION}, not {item['apiVersion']}"))
                    )
                elif item.get("kind") not in _KINDS:
                    found.append(
                        Finding(where, Fault("kind", f"must be {' or '.join(_KINDS)}, not {item.get('kind')}"))
                    )
                else:
                    yield _Document(where, item)
    except yaml.YAMLError as error:
        found.append(Finding(f"{file}: document {number + 1}", Fault("", f"no YAML: {' '.join(str(error).split())}")))
    except RecursionError:
        found.append(Finding(f"{file}: document {number + 1}", Fault("", "nested too deeply to be read")))


def _decode(raw: dict[str, Any]) -> tuple[Workflow | WorkTemplate | None, Faults]:
    """The object, or None with what its fields have that the API server would refuse."""
    kind = _KINDS[raw["kind"]]
    try:
        if faults := Faults(_form_faults(raw, kind)):
            return None, faults
        return msgspec.json.decode(msgspec.json.encode(raw), type=kind), Faults()
    except msgspec.ValidationError as error:
        return None, Faults([Fault("", str(error))])
    except (RecursionError, TypeError, UnicodeEncodeError) as error:
        return None, Faults([Fault("", f"cannot be written as JSON: {error}")])


def _form_faults(raw: dict[str, Any], kind: type[Workflow | WorkTemplate]) -> Iterator[Fault]:
    metadata = raw.get("metadata")
    if not isinstance(metadata, dict) or not (metadata.get("name") or metadata.get("generateName")):
        yield Fault("metadata.name", "must be given; with `kubectl create`, metadata.generateName will do")
    if "spec" not in raw:
        yield Fault("spec", "must be given")
    else:
        yield from schema_faults(raw["spec"], get_type_hints(kind, include_extras=True)["spec"], "spec")


class _Loader(yaml.SafeLoader):
    """Reads YAML as kubectl does: dates stay text, and a key that occurs twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} occurs twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@click.command("lint")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False), metavar="FILE...")
@click.option(
    "--running",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="Manifests of workflows that run already: FILE must be a change that is allowed after the start.",
)
@click.pass_context
def lint_files(context: click.Context, files: tuple[str, ...], running: tuple[str, ...]) -> None:
    """Check manifests of Workflows and WorkTemplates, without a cluster.

    Prints every fault with its file, document and path, and exits 1 if there is one. Warnings are printed too, but do
    not count. Other kinds in the files are passed over.
    """
    found = lint(_texts(files), _texts(running))
    for finding in found:
        click.echo(str(finding))
    context.exit(1 if any(not finding.is_warning for finding in found) else 0)


def _texts(files: Iterable[str]) -> dict[str, str]:
    try:
        return {file: Path(file).read_text("utf-8") for file in files}
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"a manifest must be UTF-8: {error}", param_hint="FILE") from error
