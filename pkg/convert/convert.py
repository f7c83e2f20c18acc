"""Finds out what each document is, converts it, and passes on what needs no conversion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pkg.apis.flow.v1alpha1.types import API_VERSION, GROUP
from pkg.convert import volcano
from pkg.convert.argo import workflow as argo
from pkg.convert.argo.library import Library as ArgoLibrary
from pkg.convert.result import Object, Result
from pkg.convert.source import Source, object_in
from pkg.convert.tekton import pipelines as tekton
from pkg.convert.tekton.library import Library
from pkg.convert.tekton.task_runs import task_run
from pkg.views.convertible import CONVERTIBLE
from pkg.views.manifests.documents import Document, read_documents
from pkg.views.manifests.nodes import ManifestError
from pkg.webhooks.admit.objects import KINDS

_ARGO: Final = "argoproj.io"
_TEKTON: Final = "tekton.dev"
_VOLCANO: Final = "flow.volcano.sh"
#: Groups whose other kinds mean something that is lost.
_FOREIGN: Final = tuple(CONVERTIBLE)
*_OTHERS, _LAST = (kind for kinds in CONVERTIBLE.values() for kind in kinds)
_KINDS: Final = f"{', '.join(_OTHERS)} and {_LAST}"
_ORDER: Final = {"WorkTemplate": 1, "Workflow": 2, "CronWorkflow": 2}


def convert(files: Mapping[str, str]) -> Result:
    """Our objects for the manifests in files, given as name and text. Raises Unreadable.

    Templates, Tasks and Pipelines are looked up in all of the files. Objects of other systems, such as a ConfigMap, are
    passed on as they are.
    """
    sources = [Source.of(document) for file, text in files.items() for document in _documents(file, text)]
    argo_library, tekton_library = ArgoLibrary(), Library()
    for source in sources:
        _file(source, argo_library, tekton_library)
    converters: dict[tuple[str, str], Callable[[Source], Iterable[Object]]] = {
        (_ARGO, "Workflow"): lambda source: argo.convert(source, argo_library),
        (_ARGO, "WorkflowTemplate"): lambda source: argo.workflow_template(source, argo_library),
        (_ARGO, "ClusterWorkflowTemplate"): lambda source: argo.workflow_template(source, argo_library),
        (_ARGO, "CronWorkflow"): lambda source: argo.cron_workflow(source, argo_library),
        (_VOLCANO, "JobFlow"): volcano.job_flow,
        (_VOLCANO, "JobTemplate"): lambda source: [volcano.job_template(source)],
        (_TEKTON, "Pipeline"): lambda source: tekton.pipeline(source, tekton_library),
        (_TEKTON, "PipelineRun"): lambda source: tekton.pipeline_run(source, tekton_library),
        (_TEKTON, "Task"): lambda source: tekton.task_object(source, tekton_library),
        (_TEKTON, "ClusterTask"): lambda source: tekton.task_object(source, tekton_library),
        (_TEKTON, "TaskRun"): lambda source: task_run(source, tekton_library),
    }
    result = Result()
    made: list[tuple[Source, Object]] = []
    for source in sources:
        document = source.account.document
        result.accounts.append(source.account)
        converter = converters.get((_group(document), document.kind))
        if converter is not None and source.is_object:
            made.extend((source, one) for one in converter(source))
        elif _group(document).endswith(_FOREIGN):
            source.lose(f"convert knows {_KINDS}")
        elif source.is_object and document.kind in KINDS and not document.api_version:
            source.lose(f"apiVersion must be given, such as {API_VERSION}")
        elif source.is_object and document.kind:
            made.append((source, source.plain()))
        else:
            source.lose("it is no object of Kubernetes")
    argo_library.finish()
    result.objects = _without_doubles(made)
    return result


class Unreadable(ValueError):
    """A file that is neither YAML nor JSON; the message begins with `file:line:column`."""


def _documents(file: str, text: str) -> list[Document]:
    try:
        return list(read_documents(file, text))
    except ManifestError as error:
        raise Unreadable(f"{file}:{error}") from error


def _file(source: Source, argo_library: ArgoLibrary, tekton_library: Library) -> None:
    """Notes what others may refer to."""
    document = source.account.document
    group = _group(document)
    if group == _ARGO and document.kind in ("WorkflowTemplate", "ClusterWorkflowTemplate"):
        argo_library.add(source)
    elif group == _TEKTON and document.kind in ("Task", "ClusterTask", "Pipeline"):
        tekton_library.shelf.add(source)


def _group(document: Document) -> str:
    group, slash, _ = document.api_version.rpartition("/")
    return group if slash else ""


def _without_doubles(made: Iterable[tuple[Source, Object]]) -> list[Object]:
    """Templates first, and what is the same once. Of two that differ and have one name the second is lost."""
    found: dict[tuple[str, str, str, str], tuple[Source, Object]] = {}
    for source, one in made:
        meta = object_in(one.get("metadata"))
        kind = str(one.get("kind"))
        name = str(meta.get("name") or f"{meta.get('generateName')}#{len(found)}")
        key = str(one.get("apiVersion")).rpartition("/")[0], kind, str(meta.get("namespace", "")), name
        first, known = found.setdefault(key, (source, one))
        if known != one:
            where = f"{first.account.document.file}:{first.node.at}"
            source.lose(f"{kind} {name} is made of {where} already: give one of the two another name")
    return sorted(
        (one for _, one in found.values()), key=lambda one: _ORDER.get(one["kind"], 0) if _is_ours(one) else 0
    )


def _is_ours(made: Object) -> bool:
    return str(made.get("apiVersion", "")).startswith(f"{GROUP}/")
