"""The WorkflowTemplates and ClusterWorkflowTemplates of all files, and what became of the templates in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pkg.convert.argo.calls import CLUSTER, Owner
from pkg.convert.argo.leaves import Leaf
from pkg.convert.names import Names
from pkg.convert.shelf import Shelf
from pkg.convert.source import Source

_OF_FLOW: Final = ("outputs", "retryStrategy", "activeDeadlineSeconds", "synchronization")
_AT_FLOW: Final = "it is written at the flow that uses the template, and none does: write it there"
_NO_ENTRYPOINT: Final = "without an entrypoint no flow comes to it: convert it with a Workflow that uses it"


@dataclass(slots=True)
class Library:
    """What Workflows find by name."""

    _shelf: Shelf = field(default_factory=Shelf)
    _inputs: list[Source] = field(default_factory=list)
    #: Names of WorkTemplates, by namespace.
    _names: dict[str, Names] = field(default_factory=dict)
    #: All that became WorkTemplates, and those that flows use, by the identity of their nodes.
    made: list[tuple[Source, Leaf]] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    #: DAGs and steps, and whether the Workflow that they are in has an entrypoint.
    graphs: list[tuple[Source, bool]] = field(default_factory=list)

    def add(self, source: Source) -> None:
        """A WorkflowTemplate or ClusterWorkflowTemplate."""
        self._shelf.add(source)
        spec = source.get("spec")
        self._inputs += [] if spec is None else spec.list_of("templates")

    def spec(self, owner: Owner, namespace: str) -> Source | None:
        """The spec of a WorkflowTemplate, as a Workflow in that namespace finds it."""
        if owner.scope == CLUSTER:
            found = self._shelf.find("ClusterWorkflowTemplate", "", owner.name)
        else:
            found = self._shelf.find("WorkflowTemplate", namespace, owner.name)
        return None if found is None else found.get("spec")

    def template(self, owner: Owner, namespace: str, name: str) -> Source | None:
        """A template of a WorkflowTemplate."""
        spec = self.spec(owner, namespace)
        templates = [] if spec is None else spec.list_of("templates")
        return next((template for template in templates if template.peek_text("name") == name), None)

    def templates(self) -> list[Source]:
        """The templates of all WorkflowTemplates."""
        return self._inputs

    def names(self, namespace: str) -> Names:
        """Gives names to the WorkTemplates of a namespace."""
        return self._names.setdefault(namespace, Names())

    def finish(self) -> None:
        """Says what is lost, and what means nothing, of templates that no flow uses."""
        for source, made in self.made:
            if id(source.node) not in self.used and made.spec is None:
                source.lose("nothing comes of it: no flow uses it, and it makes no WorkTemplate")
            elif id(source.node) not in self.used:
                source.lose_fields(dict.fromkeys(_OF_FLOW, _AT_FLOW))
        for source, has_entrypoint in self.graphs:
            if _is_used(source):
                continue
            if has_entrypoint:
                source.skip("no flow comes to it")
            else:
                source.lose(_NO_ENTRYPOINT)


def _is_used(source: Source) -> bool:
    """Whether flows came from a DAG or steps: its tasks were looked into."""
    inner = f"{source.path}.dag.tasks", f"{source.path}.steps"
    return any(path in source.account.opened for path in inner)
