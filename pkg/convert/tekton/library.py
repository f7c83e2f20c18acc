"""The Tasks and Pipelines of all files."""

from __future__ import annotations

from dataclasses import dataclass, field

from pkg.convert.names import label
from pkg.convert.source import Source
from pkg.convert.tekton.tasks import Task, task


@dataclass(slots=True)
class Library:
    """The Tasks and Pipelines of all files, by name, and the Tasks that are converted."""

    tasks: dict[str, Source] = field(default_factory=dict)
    pipelines: dict[str, Source] = field(default_factory=dict)
    made: dict[str, Task] = field(default_factory=dict)

    def task(self, name: str) -> Task | None:
        """The Task of that name, converted once."""
        if name not in self.made and name in self.tasks:
            spec = self.tasks[name].get("spec")
            if spec is not None:
                self.made[name] = task(spec, name, label(name))
        return self.made.get(name)
