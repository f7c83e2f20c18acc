"""The commands in the documents exist, and print what the documents show: make targets, flags, lint."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from pkg.cli.app import command as kubectl_workflow
from pkg.controllers.app import command
from tests.documents import MANIFESTS

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z.][a-z-]*):.*## ", MAKEFILE, re.MULTILINE))
README = (ROOT / "README.md").read_text("utf-8")


def text_of(document: str) -> str:
    return (ROOT / document).read_text("utf-8")


def console_of(document: str) -> list[str]:
    """The commands behind the prompts of a document, without comments."""
    blocks = re.findall(r"^ *```console\n(.*?)^ *```", text_of(document), re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line.removeprefix("$ ").split(" #")[0].strip() for line in lines if line.startswith("$ ")]


def make(*arguments: str) -> str:
    return subprocess.run(["make", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_that_are_named_exist(document: str) -> None:
    named = {
        word
        for line in re.findall(r"(?:`|^ *\$ )make ([^`#\n]*)", text_of(document), re.MULTILINE)
        for word in re.sub(r'"[^"]*"', "", line.split("&&")[0]).split()
        if re.fullmatch(r"\.?[a-z][a-z-]*", word)
    }
    assert named <= TARGETS


@pytest.mark.parametrize("arguments", [(), ("help",)], ids=["make alone", "make help"])
def test_make_lists_the_targets(arguments: tuple[str, ...]) -> None:
    said = make("--no-print-directory", *arguments)
    assert {line.split()[0] for line in said.splitlines()} == TARGETS
    assert all(len(line) <= 120 for line in said.splitlines())


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python_modules_that_are_run_exist(document: str) -> None:
    for module in set(re.findall(r"python -m (hack[\w.]*)", text_of(document))):
        found = importlib.util.find_spec(module)
        assert found is not None, module
        assert found.submodule_search_locations is None or importlib.util.find_spec(f"{module}.__main__"), module


@pytest.mark.parametrize("document", DOCUMENTS)
def test_kubectl_is_given_files_that_exist(document: str) -> None:
    """Files of the repository, in the commands behind a prompt."""
    for line in console_of(document):
        for file in re.findall(r"(?:-f|-k) ((?:installer|examples)/\S*)", line):
            assert (ROOT / file).exists(), line


def test_what_lint_prints_is_what_the_readme_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = [block.text for block in MANIFESTS if block.where.startswith("README.md") and block.can_run]
    monkeypatch.chdir(tmp_path)
    Path("first.yaml").write_text(first.replace("targets: [one]", "targets: [onne]"))
    shown = README.split("kubectl-workflow lint first.yaml\n", 1)[1].split("```", 1)[0]
    done = CliRunner().invoke(kubectl_workflow, ["lint", "first.yaml"])
    assert (done.exit_code, done.output) == (1, shown)
    Path("first.yaml").write_text(first)
    assert CliRunner().invoke(kubectl_workflow, ["lint", "first.yaml"]).exit_code == 0


@pytest.mark.parametrize(("kind", "file"), [("workflows", "README.md"), ("cronworkflows", "docs/cron.md")])
def test_the_columns_of_kubectl_are_those_of_the_documents(kind: str, file: str) -> None:
    crd = yaml.safe_load((ROOT / "installer" / "crds" / f"flow.workflow.sh_{kind}.yaml").read_text())
    columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
    expected = ["NAME", *(column["name"].upper() for column in columns if not column.get("priority"))]
    (header,) = [line for line in text_of(file).splitlines() if line.startswith("NAME ")]
    assert re.split(r" {2,}", header) == expected


@pytest.mark.parametrize("kind", re.findall(r"^workflow-controller explain-kind (\S+)", text_of("docs/kinds.md"), re.M))
def test_explain_kind_runs_as_shown(kind: str) -> None:
    assert CliRunner().invoke(command, ["explain-kind", kind]).exit_code == 0


def test_every_flag_is_in_the_readme() -> None:
    shown = [option for option in command.params if not getattr(option, "hidden", False)]
    flags = {name for option in shown for name in option.opts if name.startswith("--")}
    named = set(re.findall(r"`(--[a-z-]+)`", README))
    assert flags - {"--help"} == named & flags


@pytest.mark.parametrize("option", command.params, ids=lambda option: str(option.name))
def test_the_default_of_a_flag_is_that_of_the_readme(option: click.Parameter) -> None:
    if not isinstance(option, click.Option) or not option.show_default:
        return
    (row,) = [line for line in README.splitlines() if line.startswith("|") and f"`{option.opts[0]}`" in line]
    default = row.split("|")[2].strip().strip("`")
    said = option.default
    assert default == (
        str(said).lower() if isinstance(said, bool) else f"{said:g}" if isinstance(said, float) else str(said)
    )


def test_every_example_is_in_the_readme() -> None:
    named = set(re.findall(r"\(examples/([\w-]+\.yaml)\)", README))
    assert named == {path.name for path in (ROOT / "examples").glob("*.yaml")}


def test_every_document_is_linked_in_the_readme() -> None:
    named = set(re.findall(r"\]\((docs/[\w-]+\.md)[)#]", README))
    assert named == {document for document in DOCUMENTS if document.startswith("docs/")}
