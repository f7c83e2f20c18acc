"""The Tasks and Pipelines of all files."""

from __future__ import annotations

from dataclasses import dataclass, field

from pkg.convert.names import Names
from pkg.convert.shelf import Shelf
from pkg.convert.source import Source, object_in, text_of
from pkg.convert.tekton.tasks import Task, task


@dataclass(slots=True)
class Library:
    """The Tasks and Pipelines of all files, the Tasks that are converted, and the names of WorkTemplates."""

    shelf: Shelf = field(default_factory=Shelf)
    _made: dict[tuple[int, str], Task] = field(default_factory=dict)
    _names: dict[str, Names] = field(default_factory=dict)

    def task(self, kind: str, namespace: str, name: str) -> Task | None:
        """The Task or ClusterTask of that name, as a run in that namespace finds it."""
        found = self.shelf.find(kind, "" if kind == "ClusterTask" else namespace, name)
        return None if found is None else self.task_of(found)

    def task_of(self, source: Source) -> Task | None:
        """The Task of a document, converted once; None if it has no spec."""
        spec = source.get("spec")
        meta = object_in(source.account.document.metadata)
        name = text_of(meta.get("name"))
        return None if spec is None else self.task_in(spec, name, name, text_of(meta.get("namespace")))

    def task_in(self, spec: Source, name: str, template: str, namespace: str) -> Task:
        """The Task of a spec, converted once in each namespace. template: how its WorkTemplate is called, if it can."""
        key = id(spec.node), namespace
        if key not in self._made:
            names = self._names.setdefault(namespace, Names())
            self._made[key] = task(spec, name, names.new(template))
        return self._made[key]

    def parameters(self) -> set[str]:
        """The names of the parameters of all Tasks."""
        found = [self.task_of(source) for source in self.shelf.of("Task", "ClusterTask")]
        return {ours for made in found if made is not None for ours in made.params.values()}
