"""What is known of a task when the template that it calls is expanded. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pkg.convert.argo.loops import Loop
from pkg.convert.conditions import Condition
from pkg.convert.source import Source

#: The namespace of what has none, in the names of those who own templates.
CLUSTER: Final = "cluster scope"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has templates: the Workflow itself, a WorkflowTemplate, or (`scope` CLUSTER) a ClusterWorkflowTemplate."""

    name: str = ""
    scope: str = ""


THE_WORKFLOW: Final = Owner()


@dataclass(frozen=True, slots=True)
class Reference:
    """A template by its name. is_inline: it has none, and `name` is that of the task that it is written into."""

    owner: Owner
    name: str
    is_inline: bool = False

    def __str__(self) -> str:
        return f"{self.owner.name}/{self.name}" if self.owner.name else self.name


@dataclass(frozen=True, slots=True)
class Place:
    """Where a template is expanded: the prefix of its flows, what they wait for, and what its inputs are.

    owner: who has the templates that its tasks name.
    """

    prefix: str
    condition: Condition
    skippable: frozenset[str]
    when: tuple[str, ...]
    env: Mapping[str, str]
    is_finally: bool
    path: tuple[Reference, ...]
    item: Mapping[str, str] | None = None
    #: The inputs of the template that its tasks use.
    used: set[str] = field(default_factory=set)
    owner: Owner = THE_WORKFLOW


@dataclass(frozen=True, slots=True)
class Call:
    """One task, and the template that it calls.

    where: the field that names the template; name: of the task; arguments: values of the template's inputs;
    conditions: when the task runs, in CEL; inline: the template itself, where it is written into the task.
    """

    template: Reference
    where: Source
    place: Place
    name: str
    arguments: Mapping[str, str]
    loop: Loop
    conditions: tuple[str, ...] = ()
    inline: Source | None = None


def owner_of(reference: Source) -> Owner:
    """Who has the templates that a templateRef or workflowTemplateRef names."""
    return Owner(reference.peek_text("name"), CLUSTER if reference.peek_text("clusterScope") == "true" else "")
