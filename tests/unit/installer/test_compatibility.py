"""What docs/compatibility.md promises of v1alpha1 is kept: nothing of 0.1.0 is gone, and nothing new is required."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from hack.manifests.sources import INSTALLER, objects
from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.options import controller_options

PROMISED: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "promised-0.1.0.yaml").read_text("utf-8"))
CHANGED = {(".spec.flows[].retry.factor", "number"): "int-or-string"}
"""Field and its type in 0.1.0 -> its type now. docs/upgrade.md says what users do about each."""


def type_of(schema: dict[str, Any]) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "int-or-string"
    return str(schema.get("type", "any"))


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, bool]]:
    """Path, type, and whether it is required, of every field of a schema."""
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", type_of(field), name in schema.get("required", ())
        yield from fields(field, f"{path}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from fields(schema["items"], f"{path}[]")


def schema_of(plural: str) -> dict[str, Any]:
    (crd,) = objects(INSTALLER / "crds" / f"flow.workflow.sh_{plural}.yaml")
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


@pytest.mark.parametrize("plural", ["workflows", "worktemplates"])
def test_no_field_is_gone_or_has_another_type(plural: str) -> None:
    now = {path: kind for path, kind, _ in fields(schema_of(plural))}
    wanted = {path: text.removesuffix(" required") for path, text in PROMISED["fields"][plural].items()}
    assert len(wanted) > 20
    assert {path: now.get(path) for path in wanted} == {
        path: CHANGED.get((path, kind), kind) for path, kind in wanted.items()
    }


@pytest.mark.parametrize("plural", ["workflows", "worktemplates"])
def test_a_manifest_of_0_1_0_lacks_nothing(plural: str) -> None:
    """A new field is optional, and so is an old one that was; only inside of a new field may something be required."""
    known = PROMISED["fields"][plural]
    parents = {path.rpartition(".")[0] for path in known}
    required = {path for path, _, is_required in fields(schema_of(plural)) if is_required and path.startswith(".spec")}
    of_old_objects = {path for path in required if path.rpartition(".")[0] in parents}
    assert {path for path in of_old_objects if not known.get(path, "").endswith(" required")} == set()


def test_no_reason_is_gone() -> None:
    now = {value for name, value in vars(Reasons).items() if name.isupper()}
    assert len(PROMISED["reasons"]) > 20
    assert set(PROMISED["reasons"]) - now == set()


def test_jobs_have_the_labels_that_they_had() -> None:
    now = (labels.WORKFLOW, labels.WORKFLOW_UID, labels.FLOW, labels.INDEX, labels.ATTEMPT)
    assert [f"flow.workflow.sh/{name}" for name in PROMISED["labels"]] == list(now)


def test_the_controller_takes_the_flags_that_it_took() -> None:
    command = click.command()(controller_options(lambda **_: None))
    now = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert set(PROMISED["flags"]) - now == set()
