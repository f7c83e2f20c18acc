"""The wheel without an extra, as `pip install work-flow` installs it: kubectl-workflow, and no more than it needs."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hack import compiled
from hack.image import assemble, contents, installed
from hack.image.wheels import build_project
from tests.image import trees
from tests.image.trees import run

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = str(ROOT / "examples" / "advanced.yaml")
ARGO = str(ROOT / "tests" / "unit" / "convert" / "manifests" / "argo-cron.yaml")
SAY_BUILD = "from pkg.version import build; print(build())"
PRODUCTION = str(ROOT / "examples" / "pipeline-production.yaml")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it requires without an extra; the commands are those that it names."""
    wheel = build_project(tmp_path_factory.mktemp("wheel"), isolated=False)
    folder = tmp_path_factory.mktemp("plain") / "work-flow"
    names = contents.closure(installed.PROJECT, installed.requirements(("",)), left_out=())
    packages = trees.make(folder, set(names) - {installed.PROJECT})
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    for command in _wheel(folder).entry_points:
        script = folder / "bin" / command.name
        script.write_text(f"#!{folder}/bin/python\nfrom {command.module} import {command.attr}\n\n{command.attr}()\n")
        script.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def compiled_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel with a compiled core."""
    if why := compiled.why_not():
        pytest.skip(why)
    return build_project(tmp_path_factory.mktemp("compiled"), isolated=False, is_compiled=True)


def test_the_plain_wheel_is_for_every_machine_and_has_no_compiled_file(plain: Path) -> None:
    assert "Tag: py3-none-any" in (_wheel(plain).read_text("WHEEL") or "")
    assert not list(plain.glob("lib/python3*/site-packages/pkg/**/*.so"))
    assert run(plain, "python", "-c", SAY_BUILD) == "not compiled\n"


def _wheel(tree: Path) -> metadata.Distribution:
    (found,) = [
        each
        for each in metadata.distributions(path=[str(path) for path in tree.glob("lib/python3*/site-packages")])
        if each.metadata["Name"] == installed.PROJECT
    ]
    return found


def _required(tree: Path, extra: str) -> set[str]:
    wanted = [Requirement(text) for text in _wheel(tree).requires or []]
    return {
        contents.canonical(each.name)
        for each in wanted
        if each.marker is None or each.marker.evaluate({"extra": extra})
    }


def test_the_environment_is_what_the_wheel_requires(plain: Path) -> None:
    """The versions come from what is installed here, but which packages there are is said by the wheel itself."""
    assert _required(plain, "") == set(map(contents.canonical, installed.requirements(("",))[installed.PROJECT]))


def test_what_only_the_others_need_is_not_there(plain: Path) -> None:
    there = {
        contents.canonical(each.metadata["Name"])
        for each in metadata.distributions(path=[str(path) for path in plain.glob("lib/python3*/site-packages")])
    }
    others = {name for extra in ("controller", "dashboard", "auth-provider") for name in _required(plain, extra)}
    assert "structlog" in others
    assert there & (others - _required(plain, "")) == set()


IMPORT_CLI = """\
import importlib, pkgutil, sys
import pkg.cli, pkg.convert, pkg.views
for package in (pkg.cli, pkg.convert, pkg.views):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""


def test_every_module_of_the_command_line_can_be_imported(plain: Path) -> None:
    run(plain, "python", "-c", IMPORT_CLI)


#: Words, exit code, what is said, and how many modules Python may load for it. Work grows with them: the command starts
#: in less than 0.3 s (`make bench ARGS=cli` measures that). Each bound is a sixth over what was counted.
CALLS = [
    pytest.param(["--help"], 0, "Read:", 220, id="help"),
    pytest.param(["version", "--client"], 0, "Client: ", 175, id="version"),
    pytest.param(["completion", "bash"], 0, "_KUBECTL_WORKFLOW_COMPLETE", 160, id="completion"),
    pytest.param(["lint", PRODUCTION, EXAMPLE], 0, "no faults", 360, id="lint"),
    pytest.param(["render", "-f", EXAMPLE], 0, "kind: Job", 385, id="render"),
    pytest.param(["graph", "-f", EXAMPLE], 0, "flowchart", 370, id="graph"),
    pytest.param(["graph", "-f", EXAMPLE, "-o", "svg"], 0, "<svg", 370, id="a picture"),
    pytest.param(["plan", "-f", EXAMPLE], 0, "FLOW", 465, id="plan"),
    pytest.param(["convert", ARGO], 1, "kind: CronWorkflow", 400, id="convert"),
    pytest.param(["list", "--kubeconfig=/none"], 1, "there is no such file", 270, id="list"),
    pytest.param(["cron", "list", "--kubeconfig=/none"], 1, "there is no such file", 270, id="cron list"),
    pytest.param(["approve", "a", "b", "--kubeconfig=/none"], 1, "there is no such file", 325, id="approve"),
]
COUNT = """\
import atexit, sys
from pkg.cli.app import main
atexit.register(lambda: print("LOADED", len(sys.modules), file=sys.stderr))
main()
"""


@pytest.mark.parametrize(("words", "code", "said", "most"), CALLS)
def test_each_verb_works_and_loads_few_modules(plain: Path, words: list[str], code: int, said: str, most: int) -> None:
    assert said in run(plain, "kubectl-workflow", *words, code=code)
    counted = run(plain, "python", "-c", COUNT, *words, code=code)
    assert int(counted.rpartition("LOADED")[2]) <= most


def test_kubectl_completes_with_it(plain: Path) -> None:
    assert "suspend" in run(plain, "kubectl_complete-workflow", "cron", "sus")


@pytest.mark.parametrize(
    ("command", "extra"),
    [("workflow-controller", "controller"), ("workflow-webhook", "controller"), ("workflow-dashboard", "dashboard")],
)
def test_the_others_say_what_is_missing(plain: Path, command: str, extra: str) -> None:
    said = run(plain, command, "--help", code=1)
    assert said.startswith(f"{command}: the Python package ")
    assert f"pip install 'work-flow[{extra}]'" in said
    assert said.count("\n") == 1


@pytest.mark.timeout(900)  # a compiler runs for half a minute of CPU time
def test_the_compiled_wheel_is_chosen_for_the_image_and_plans(compiled_wheel: Path, plain: Path) -> None:
    """It has the same files as the plain one, and a compiled file beside each of the modules that are compiled."""
    _name, _version, *tags = compiled_wheel.stem.split("-")
    assert tags[2] in assemble.pip_platforms(platform.machine())
    with zipfile.ZipFile(compiled_wheel) as archive:
        packed = archive.namelist()
        for name in compiled.modules():
            path = name.replace(".", "/")
            assert f"{path}.py" in packed
            assert any(file.startswith(f"{path}.cpython-") for file in packed), name
        # Over the plain wheel, whose environment this is no longer after that: this test is the last one of the file.
        (packages,) = plain.glob("lib/python3*/site-packages")
        archive.extractall(packages)
    assert run(plain, "python", "-c", SAY_BUILD) == "compiled\n"
    assert "FLOW" in run(plain, "kubectl-workflow", "plan", "-f", EXAMPLE)


@pytest.mark.timeout(900)
def test_the_compiled_planner_passes_its_unit_tests(compiled_wheel: Path, tmp_path: Path) -> None:
    """In a copy of the checkout with the wheel's package. `make test-compiled` runs the other unit tests as well."""
    for name in ("hack", "tests/unit", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", *(f"tests/{path.name}" for path in (ROOT / "tests").glob("*.py"))):
        shutil.copy(ROOT / name, tmp_path / name)
    with zipfile.ZipFile(compiled_wheel) as archive:
        archive.extractall(tmp_path)
    for file in (tmp_path / "pkg").rglob("*.so"):
        file.touch()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/unit/controllers/workflow/planner"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONPATH"))}
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
    assert "core: compiled" in ran.stdout
