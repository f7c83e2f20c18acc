"""Objects of other workflow systems that `kubectl workflow convert` translates. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Final

from pkg.views.manifests.documents import Document

#: The kinds, by API group.
CONVERTIBLE: Final[Mapping[str, tuple[str, ...]]] = {
    "argoproj.io": ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"),
    "flow.volcano.sh": ("JobFlow", "JobTemplate"),
    "tekton.dev": ("Pipeline", "PipelineRun", "Task", "ClusterTask", "TaskRun"),
}

#: The name of what came through a pipe.
_PIPE: Final = "stdin"


def is_convertible(document: Document) -> bool:
    """Whether `convert` knows the group and the kind of an object."""
    group, _, _ = document.api_version.partition("/")
    return document.kind in CONVERTIBLE.get(group, ())


def convert_call(document: Document) -> str:
    """The command that translates the file of an object."""
    return f"kubectl workflow convert {'-' if document.file == _PIPE else shlex.quote(document.file)}"


def convert_hint(documents: Iterable[Document]) -> str:
    """What to do about the first object that `convert` translates, as the end of a sentence; empty if there is none."""
    for document in documents:
        if is_convertible(document):
            return f"; {document.title} is of {document.api_version}, which {convert_call(document)} translates"
    return ""
