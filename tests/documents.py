"""The YAML blocks of the documents, and the manifests of ours among them.

A comment line `<!-- faulty -->` directly before a block says that its manifest is meant to be wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^(?P<faulty><!-- faulty -->\n+)?```ya?ml\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_GROUP = "flow.workflow.sh/"


@dataclass(frozen=True, slots=True)
class Block:
    """One YAML block. `where` is `docs/api.md:27`, with the line of its first line of YAML."""

    where: str
    text: str
    is_faulty: bool

    @property
    def objects(self) -> tuple[dict[str, Any], ...]:
        """The Workflows and WorkTemplates in it; none if it is a fragment, or about other kinds."""
        documents = (document for document in yaml.safe_load_all(self.text) if isinstance(document, dict))
        return tuple(document for document in documents if str(document.get("apiVersion", "")).startswith(_GROUP))

    @property
    def number_of_objects(self) -> int:
        """How many objects of any kind are in it."""
        documents = yaml.safe_load_all(self.text)
        return sum(isinstance(document, dict) and "apiVersion" in document for document in documents)

    @property
    def can_run(self) -> bool:
        """Whether it has every template that its Workflows name, all of these make batch Jobs, and nobody is asked."""
        templates = {
            item["metadata"]["name"]: item["spec"]["gvr"] for item in self.objects if item["kind"] == "WorkTemplate"
        }
        workflows = [item for item in self.objects if item["kind"] == "Workflow"]
        flows = [flow for item in workflows for flow in item["spec"]["flows"]]
        if any("approval" in flow for flow in flows):
            return False  # tests/cluster/test_approvals.py runs it
        used = {flow.get("template", flow["name"]) for flow in flows}
        kinds = {(templates[name]["group"], templates[name]["resource"]) for name in used & templates.keys()}
        return bool(workflows) and used <= templates.keys() and kinds == {("batch", "jobs")} and not self.is_faulty


def blocks_of(document: str, text: str) -> list[Block]:
    """All YAML blocks of a document."""
    return [
        Block(f"{document}:{text.count(chr(10), 0, match.start('text')) + 1}", match["text"], bool(match["faulty"]))
        for match in _BLOCK.finditer(text)
    ]


def all_blocks() -> list[Block]:
    """The YAML blocks of README.md, of the documents beside it and of docs/."""
    files = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
    return [block for file in files for block in blocks_of(file.relative_to(ROOT).as_posix(), file.read_text("utf-8"))]


BLOCKS = all_blocks()
MANIFESTS = [block for block in BLOCKS if block.objects]
