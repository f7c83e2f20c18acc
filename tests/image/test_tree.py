"""The folder of packages that goes into the image, made from this environment: all commands work in it."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from hack.image import assemble, contents, installed
from tests.image import trees
from tests.image.trees import imported, run

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = sorted(
    each.name for each in metadata.distribution(installed.PROJECT).entry_points if each.group == "console_scripts"
)
IMPORT_ALL = """\
import importlib, pkgutil, sys
import pkg
for module in pkgutil.walk_packages(pkg.__path__, "pkg."):
    importlib.import_module(module.name)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first stage of the Dockerfile makes, but with the files that are installed here instead of wheels."""
    folder = tmp_path_factory.mktemp("image") / "work-flow"
    packages = trees.make(folder, installed.in_image())
    shutil.copytree(ROOT / "pkg", packages / "pkg", ignore=shutil.ignore_patterns("__pycache__"))
    (packages / "bin").mkdir()
    for entry in metadata.distribution(installed.PROJECT).entry_points:
        script = f"#!/usr/bin/python3\nfrom {entry.module} import {entry.attr}\n\n{entry.attr}()\n"
        (packages / "bin" / entry.name).write_text(script)
    assemble.finish(folder, packages)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_starts(tree: Path, command: str) -> None:
    assert "Usage" in run(tree, command, "--help")


def test_commands_that_need_no_cluster_run(tree: Path) -> None:
    assert "batch/v1" in run(tree, "workflow-controller", "explain-kind", "jobs.v1.batch")
    run(tree, "workflow-controller", "lint", str(ROOT / "examples" / "advanced.yaml"))


def test_every_module_can_be_imported(tree: Path) -> None:
    run(tree, "python", "-c", IMPORT_ALL)


def test_an_exception_is_logged_on_a_console(tree: Path) -> None:
    """The traceback is drawn by rich, which asks pygments for the language of the file."""
    code = (
        "import structlog\nfrom pkg.telemetry import logging\nlogging.configure('info', 'console')\n"
        "from pkg.kube import credentials\n"
        "try:\n    credentials.decode64('?', 'the field')\n"
        "except credentials.ConfigError:\n    structlog.get_logger('x').exception('this failed')\n"
    )
    said = run(tree, "python", "-c", code)
    assert "this failed" in said
    assert "the field is not valid base64" in said


def test_the_command_without_a_cluster_says_so(tree: Path) -> None:
    said = run(tree, "workflow-controller", "--kubeconfig=/nonexistent/config", code=1)
    assert "there is no such file" in said


def test_an_auth_provider_is_refused_in_words(tree: Path) -> None:
    code = (
        "from pkg.kube.credentials import ConfigError, auth_provider\n"
        "try:\n    auth_provider({}, 'oidc', 'users[me]').authorization()\n"
        "except ConfigError as error:\n    print(error)\n"
    )
    assert "users[me]: the auth-provider 'oidc' needs the Python package kubernetes" in run(tree, "python", "-c", code)


def test_what_is_in_the_image_is_imported(tree: Path) -> None:
    """A distribution that no command imports belongs into LEFT_OUT, with the reason."""
    loaded = imported(tree, IMPORT_ALL)
    used = {contents.canonical(name) for module in loaded for name in metadata.packages_distributions().get(module, [])}
    assert sorted(set(installed.in_image()) - used - set(contents.DATA)) == []


def test_time_zones_come_from_the_image(tree: Path) -> None:
    """The base image may have none."""
    code = "import zoneinfo; zoneinfo.reset_tzpath(()); print(zoneinfo.ZoneInfo('Australia/Lord_Howe'))"
    assert "Australia/Lord_Howe" in run(tree, "python", "-c", code)


def test_what_is_left_out_was_installed_and_is_not_imported_at_start(tree: Path) -> None:
    requirements = installed.requirements()
    everything = set(contents.closure(installed.PROJECT, requirements, left_out=()))
    assert set(contents.LEFT_OUT) <= everything, "LEFT_OUT names what nothing requires any more"
    missing = everything - set(installed.in_image()) - {installed.PROJECT}
    modules = {
        module
        for module, names in metadata.packages_distributions().items()
        if {contents.canonical(name) for name in names} & missing
    }
    assert not imported(tree, IMPORT_ALL) & modules


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_what_the_code_imports_anywhere_is_in_the_image_or_named() -> None:
    """Imports within functions count too: they fail only when the function is called."""
    known = set(installed.in_image()) | set(contents.LEFT_OUT) | {installed.PROJECT}
    of_module = metadata.packages_distributions()
    unknown = {
        (str(path.relative_to(ROOT)), module)
        for path in (ROOT / "pkg").rglob("*.py")
        for module in _imports(path)
        if module in of_module and not {contents.canonical(name) for name in of_module[module]} & known
    }
    assert unknown == set()
