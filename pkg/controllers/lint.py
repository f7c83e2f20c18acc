"""`workflow-controller lint`: checks Workflow and WorkTemplate manifests as the controller does, without a cluster."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import yaml

from pkg.apis.flow.v1alpha1.edges import read_edges
from pkg.apis.flow.v1alpha1.faults import Fault, Faults
from pkg.apis.flow.v1alpha1.types import API_VERSION, GROUP, Workflow, WorkTemplate
from pkg.webhooks.admit.objects import KINDS, read_strictly
from pkg.webhooks.admit.templates import template_faults, template_warnings
from pkg.webhooks.admit.workflows import Around, Before, Judgement

_ELSEWHERE: Final = 'WorkTemplate "{}" is not in these files, so this flow is checked without it'
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
    specs = {name: read_edges(template.spec) for name, (_, template) in templates.items()}
    before, _, _ = _objects(running or {}, found)
    faulty: set[Name] = set()
    for where, template in templates.values():
        faults = template_faults(template.spec)
        if faults:
            faulty.add((template.metadata.namespace or "default", template.metadata.name))
        found += _findings(where, faults or template_warnings(template.spec), is_warning=not faults)
    for name, (where, workflow) in workflows.items():
        used = {flow.template_name for flow in workflow.spec.flows}
        own = {template: specs[name[0], template] for template in used if (name[0], template) in specs}
        elsewhere = used - own.keys() - {template for namespace, template in unread if namespace == name[0]}
        own_faulty = {template for namespace, template in faulty if namespace == name[0]}
        around = Around(own, elsewhere, _ELSEWHERE, faulty=own_faulty)
        old = Before(before[name][1].spec) if name in before else None
        judged = Judgement(workflow.spec, workflow.metadata, around, old)
        faults = judged.faults()
        found += _findings(where, faults)
        found += _findings(where, judged.missing() if faults else judged.warnings(), is_warning=True)
    return found


def _findings(where: str, faults: Faults, *, is_warning: bool = False) -> Iterator[Finding]:
    for fault in faults:
        yield Finding(where, fault, is_warning)
    if faults.others:
        yield Finding(where, Fault("", f"{faults.others} more like these are not shown"), is_warning)


def _objects(
    files: Mapping[str, str], found: list[Finding]
) -> tuple[dict[Name, tuple[str, Workflow]], dict[Name, tuple[str, WorkTemplate]], set[Name]]:
    """The Workflows, the WorkTemplates, and the names of objects whose form is wrong. Faults go to `found`."""
    unread: set[Name] = set()
    workflows: dict[Name, tuple[str, Workflow]] = {}
    templates: dict[Name, tuple[str, WorkTemplate]] = {}
    for file, text in files.items():
        for document in _documents(file, text, found):
            decoded = read_strictly(document.raw, KINDS[document.raw["kind"]])
            if isinstance(decoded, Faults):
                found += _findings(document.where, decoded)
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
                elif item.get("kind") not in KINDS:
                    found.append(Finding(where, Fault("kind", f"must be {' or '.join(KINDS)}, not {item.get('kind')}")))
                else:
                    yield _Document(where, item)
    except yaml.YAMLError as error:
        found.append(Finding(f"{file}: document {number + 1}", Fault("", f"no YAML: {' '.join(str(error).split())}")))
    except RecursionError:
        found.append(Finding(f"{file}: document {number + 1}", Fault("", "nested too deeply to be read")))


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
