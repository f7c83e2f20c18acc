"""The table of verbs: each can be imported, and none is imported before it is called."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from pkg.cli.app import SECTIONS, command
from pkg.version import VERSION

VERBS = [name for section in SECTIONS.values() for name in section]
#: What only the controller needs, and what takes long to import.
SLOW = {"asyncio", "cryptography", "kubernetes", "prometheus_client", "rich", "structlog", "uvicorn", "cel_expr_python"}


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_help_and_its_name(name: str) -> None:
    verb = command.get_command(click.Context(command), name)
    assert verb is not None
    assert (verb.name, bool(verb.help)) == (name, True)


def test_no_verb_is_in_two_sections() -> None:
    assert sorted(VERBS) == sorted(set(VERBS))


def test_help_lists_every_verb_that_is_not_hidden() -> None:
    shown = CliRunner().invoke(command, ["--help"]).output
    named = {line.split()[0] for line in shown.splitlines() if line.startswith("  ") and line.strip()}
    assert {name for name in VERBS if not command.get_command(click.Context(command), name).hidden} <= named  # type: ignore[union-attr]


def test_an_unknown_verb_is_wrong_usage() -> None:
    done = CliRunner().invoke(command, ["lsit"])
    assert done.exit_code == 2
    assert "lsit" in done.output


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(command, ["version", "--client"]).output == f"Client: {VERSION}\n"


@pytest.mark.parametrize("module", ["pkg.cli.app", "pkg.cli.connection", "pkg.cli.output", "pkg.kube.client"])
def test_starting_imports_nothing_slow(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(name for name in sys.modules if '.' not in name))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(loaded.split()) & SLOW == set()
