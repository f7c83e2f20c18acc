"""What the API server says of manifests in a strict dry run: of its schema, webhooks, policies and quotas."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final

from pkg.apis.flow.v1alpha1.faults import Fault
from pkg.apis.flow.v1alpha1.types import CRONWORKFLOWS, WORKFLOWS, WORKTEMPLATES
from pkg.apis.meta import PartialObject
from pkg.kube.client import Client
from pkg.kube.errors import Conflict, Denied, KubeError, Refused
from pkg.views.lint import Finding, Read
from pkg.views.manifests.documents import Document

_RESOURCES: Final = {"Workflow": WORKFLOWS, "WorkTemplate": WORKTEMPLATES, "CronWorkflow": CRONWORKFLOWS}
_MANAGER: Final = "kubectl-workflow"
_PATH: Final = re.compile(r"\b(?:spec|metadata)(?:\.[A-Za-z_][A-Za-z0-9_-]*|\[\d+\]|\[\"[^\"]+\"\])+")
#: What the object is at fault for. Any other error says nothing about it, and is raised.
_FAULTS: Final = (Conflict, Denied, Refused)


def tried(
    client: Client, read: Read, namespace_of: Callable[[Document], str], known: Collection[Finding] = ()
) -> Iterator[Finding]:
    """The answers to a dry run of each object that could be read. Nothing is stored. Raises KubeError.

    An object that exists is tried as a change of it. What is `known` already is left out: our webhook, where it is
    installed, finds what was found without the server.
    """
    for document, _ in (*read.templates.values(), *read.crons.values(), *read.workflows.values()):
        for finding in _tried(client, document, namespace_of(document)):
            if not any(_is_same(finding, one) for one in known):
                yield finding


def _is_same(answer: Finding, known: Finding) -> bool:
    """Whether an answer of the API server says what was found without it, at the same place. Pure."""
    place = (answer.file, answer.title, answer.at) == (known.file, known.title, known.at)
    return place and answer.is_warning == known.is_warning and str(known.fault) in answer.fault.message


def _tried(client: Client, document: Document, namespace: str) -> Iterator[Finding]:
    gvr = _RESOURCES[document.kind]
    name = document.metadata.get("name")
    body = {**document.raw, "metadata": {**document.metadata, "namespace": namespace}}
    warnings: list[str] = []

    def heard(said: tuple[str, ...]) -> None:
        warnings.extend(said)

    found: list[Finding] = []
    try:
        if name:
            client.apply(
                gvr,
                namespace,
                str(name),
                body,
                PartialObject,
                field_manager=_MANAGER,
                force=True,
                field_validation="Strict",
                dry_run=True,
                on_warnings=heard,
            )
        else:
            client.create(
                gvr, namespace, body, PartialObject, field_validation="Strict", dry_run=True, on_warnings=heard
            )
    except KubeError as error:
        if not isinstance(error, _FAULTS):
            raise
        found = [_finding(document, line) for line in _lines(error.message)]
    yield from (_finding(document, text, is_warning=True) for text in warnings)
    yield from found


def _lines(message: str) -> list[str]:
    """The faults in a message: our webhook gives each a line of its own, which begins with a dash."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    listed = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    return listed or [" ".join(lines)]


def _finding(document: Document, text: str, *, is_warning: bool = False) -> Finding:
    match = _PATH.search(text)
    at = document.place(match.group() if match is not None else "")
    return Finding(document.file, at, document.title, Fault("", f"API server: {text}"), is_warning)
