"""Reads the result of a conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pkg.convert.result import Result


@dataclass(frozen=True)
class Read:
    """A result with one Workflow."""

    result: Result

    @property
    def workflow(self) -> dict[str, Any]:
        (found,) = [made for made in self.result.objects if made["kind"] == "Workflow"]
        return found

    @property
    def names(self) -> list[str]:
        return [flow["name"] for flow in self.workflow["spec"]["flows"]]

    @property
    def lost(self) -> list[str]:
        return [str(finding) for finding in self.result.findings if finding.is_lost]

    def flow(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(flow for flow in self.workflow["spec"]["flows"] if flow["name"] == name)
        return found

    def template(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            made["spec"]
            for made in self.result.objects
            if made["kind"] == "WorkTemplate" and made["metadata"]["name"] == name
        )
        return found

    def pod(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.template(name)["jobSpec"]["template"]["spec"]
        return found


def read(result: Result) -> Read:
    return Read(result)
