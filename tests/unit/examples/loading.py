"""Reads the example files as a user's kubectl would send them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pkg.apis.flow.v1alpha1 import variables
from pkg.apis.flow.v1alpha1.types import Flow, Workflow, WorkTemplate
from tests.manifests import decoded

FOLDER = Path(__file__).parents[3] / "examples"
FILES = (
    *("01-sequential", "02-parallel-for", "03-retry", "04-probe-branch", "05-multi-in-out"),
    *("advanced", "locks", "outputs", "when"),
)
EXPECT = "examples.workflow.sh/expect"


@dataclass(frozen=True, slots=True)
class Example:
    """One file: its text, its documents as plain maps, and these decoded."""

    text: str
    documents: tuple[dict[str, Any], ...]
    workflow: Workflow
    templates: dict[str, WorkTemplate]

    @property
    def expected(self) -> dict[str, Any]:
        """`{"phase": ..., "flows": {name: phase}, "attempts": {name: number}}`"""
        found: dict[str, Any] = json.loads(self.workflow.metadata.annotations[EXPECT])
        return found

    @property
    def outputs(self) -> dict[str, str]:
        """A value for each variable of the file that stands for an output."""
        found = (token for line in self.text.splitlines() for token in variables.tokens(line))
        return {token.name: "1" for token in found if isinstance(token, variables.Known) and token.output is not None}

    def template_of(self, flow: Flow) -> WorkTemplate:
        return self.templates[flow.template_name]


def load(name: str) -> Example:
    text = (FOLDER / f"{name}.yaml").read_text("utf-8")
    documents = tuple(yaml.safe_load_all(text))
    templates = [decoded(d, WorkTemplate) for d in documents if d["kind"] == "WorkTemplate"]
    (workflow,) = [decoded(d, Workflow) for d in documents if d["kind"] == "Workflow"]
    return Example(text, documents, workflow, {template.metadata.name: template for template in templates})


def unknown_fields(owner: Any, raw: Any, path: str) -> list[str]:
    """Fields that the file has and the API type has not: a lenient decoder would pass over a slip."""
    if isinstance(owner, msgspec.Struct) and isinstance(raw, dict):
        names = {field.encode_name: field.name for field in msgspec.structs.fields(owner)}
        found = [f"{path}.{key}" for key in raw if key not in names]
        for key in raw.keys() & names.keys():
            found.extend(unknown_fields(getattr(owner, names[key].removeprefix("raw_")), raw[key], f"{path}.{key}"))
        return found
    if isinstance(owner, tuple) and isinstance(raw, list):
        return [
            slip
            for at, (one, other) in enumerate(zip(owner, raw, strict=True))
            for slip in unknown_fields(one, other, f"{path}[{at}]")
        ]
    return []
