"""`graph` of manifests: the formats, what is left out, and what it says of manifests that cannot be drawn."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from pytest_regressions.file_regression import FileRegressionFixture

from pkg.cli.app import command
from tests.unit.cli.verbs.test_plan import CRON, NIGHTLY


def graph(tmp_path: Path, text: str, *args: str) -> Result:
    file = tmp_path / "w.yaml"
    file.write_text(text)
    return CliRunner().invoke(command, ["graph", "-f", str(file), *args])


@pytest.mark.parametrize("form", ["mermaid", "dot"])
def test_text(form: str, tmp_path: Path, file_regression: FileRegressionFixture) -> None:
    found = graph(tmp_path, NIGHTLY, "-o", form)
    assert found.exit_code == 0
    file_regression.check(found.output)


def test_svg(tmp_path: Path) -> None:
    found = graph(tmp_path, NIGHTLY, "-o", "svg", "--down")
    assert ElementTree.fromstring(found.output).get("aria-label") == "nightly"


def test_around(tmp_path: Path) -> None:
    found = graph(tmp_path, NIGHTLY, "--around", "fetch").output
    assert '"fetch"' in found
    assert "alarm" not in found
    assert "alarm" in graph(tmp_path, NIGHTLY, "--around", "fetch", "--depth", "2").output


def test_a_large_graph_says_what_mermaid_draws(tmp_path: Path) -> None:
    flows = "".join(f"  - {{name: f{at}, dependsOn: {{targets: [a]}}}}\n" for at in range(600))
    text = (
        "apiVersion: flow.workflow.sh/v1alpha1\nkind: Workflow\nmetadata: {name: w}\nspec:\n  flows:\n  - {name: a}\n"
    )
    assert "use --fold, --around FLOW or -o svg" in graph(tmp_path, text + flows, "--no-fold").stderr
    assert graph(tmp_path, text + flows).stderr == ""


@pytest.mark.parametrize(
    ("args", "text", "code", "message"),
    [
        pytest.param(
            ["--around", "x"],
            NIGHTLY,
            1,
            "--around: workflow nightly has no flow 'x'; there are ",
            id="an unknown flow",
        ),
        pytest.param(
            ["-o", "svg"],
            NIGHTLY.replace("{name: fetch, ", "{name: fetch, dependsOn: {targets: [train]}, "),
            1,
            "flows wait for each other; kubectl workflow lint names them",
            id="a cycle",
        ),
    ],
)
def test_faults(tmp_path: Path, args: list[str], text: str, code: int, message: str) -> None:
    found = graph(tmp_path, text, *args)
    assert found.exit_code == code
    assert message in found.output


def test_without_a_name_and_a_file() -> None:
    found = CliRunner().invoke(command, ["graph"])
    assert found.exit_code == 2
    assert "name a Workflow, or a manifest with -f" in found.output


def test_a_cron_workflow_stands_for_a_run_of_it(tmp_path: Path) -> None:
    found = graph(tmp_path, CRON)
    assert found.exit_code == 0
    assert 'title: "nightly"' in found.output
    assert '["at"]' in found.output


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("{name: fetch, ", "{name: train, ", id="two flows of one name"),
        pytest.param(
            "{name: fetch, ", "{name: fetch, dependsOn: {targets: [fetch]}, ", id="a flow that waits for itself"
        ),
    ],
)
def test_a_note_says_that_the_manifests_have_faults(tmp_path: Path, old: str, new: str) -> None:
    found = graph(tmp_path, NIGHTLY.replace(old, new, 1))
    assert (found.exit_code, found.stderr) == (
        0,
        "note: the manifests have faults, so the picture may be wrong; kubectl workflow lint shows where\n",
    )
    assert graph(tmp_path, NIGHTLY).stderr == ""


def test_a_manifest_is_named_as_workflow_and_name_too(tmp_path: Path) -> None:
    assert graph(tmp_path, NIGHTLY, "workflow/nightly").output == graph(tmp_path, NIGHTLY).output


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        pytest.param("bad1/status", 2, '"bad1/status" cannot be the name of a workflow', id="a subresource"),
        pytest.param("bad1?x=1", 2, '"bad1?x=1" cannot be the name of a workflow', id="a query"),
        pytest.param("a/w.yaml", 2, "did you mean -f a/w.yaml?", id="a file"),
        pytest.param("w.yaml", 2, "did you mean -f w.yaml?", id="a file that is there"),
        pytest.param("workflow/nightly", 1, "no API server is configured", id="a name as list -o name has it"),
        pytest.param("workflow/w.yaml", 1, "no API server is configured", id="a name that looks like a file"),
    ],
)
def test_names_of_the_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    Path("w.yaml").write_text(NIGHTLY)
    found = CliRunner().invoke(command, ["graph", name])
    assert (found.exit_code, message in found.stderr) == (code, True), found.stderr
