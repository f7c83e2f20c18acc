"""Checks the alerts of installer/ with promtool: their syntax, and that each fires when it should."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml

from hack.promtool import binary

ROOT = Path(__file__).resolve().parents[2]
INSTALLER = ROOT / "installer"
ALERTS = (
    INSTALLER / "monitoring" / "manifests" / "alerts.yaml",
    INSTALLER / "dashboard" / "monitoring" / "alerts.yaml",
)
TESTS = Path(__file__).parent / "alerts-test.yaml"


def groups() -> list[dict[str, Any]]:
    """The groups of rules, as a rule file of Prometheus has them."""
    return [group for file in ALERTS for group in yaml.safe_load(file.read_text("utf-8"))["spec"]["groups"]]


def check(found: list[dict[str, Any]] | None = None) -> list[str]:
    """What promtool has to say about these groups, by default those of ALERTS; empty if all is well.

    Raises ClusterError if promtool cannot be built.
    """
    checked = groups() if found is None else found
    promtool = binary.ensure()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": checked}))
        (folder / "bare.yaml").write_text(yaml.safe_dump({"groups": _without_annotations(checked)}))
        (folder / "test.yaml").write_text(TESTS.read_text("utf-8"))
        said = []
        for command in (["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"], ["test", "rules", "test.yaml"]):
            done = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True, check=False)
            said += [f"promtool {' '.join(command)}:\n{done.stdout}{done.stderr}"] if done.returncode else []
    return said


def _without_annotations(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules without their texts, which `promtool test rules` would want to be repeated in every test."""
    return [
        {**group, "rules": [{key: rule[key] for key in rule if key != "annotations"} for rule in group["rules"]]}
        for group in found
    ]
