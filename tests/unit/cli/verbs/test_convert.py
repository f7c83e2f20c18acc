"""`convert` prints our manifests, names what is lost on standard error, and exits by that."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pytest_regressions.file_regression import FileRegressionFixture

from pkg.cli.app import command

MANIFESTS = Path(__file__).parents[2] / "convert" / "manifests"
WHOLE = """
apiVersion: flow.volcano.sh/v1alpha1
kind: JobFlow
metadata: {name: w}
spec:
  flows:
  - name: a
"""


def convert(tmp_path: Path, text: str, *args: str) -> Result:
    file = tmp_path / "w.yaml"
    file.write_text(text)
    found = CliRunner().invoke(command, ["convert", "-f", str(file), *args])
    assert found.exception is None or isinstance(found.exception, SystemExit)
    return found


@pytest.mark.parametrize("file", sorted(MANIFESTS.glob("*.yaml")), ids=lambda file: file.stem)
def test_whole_files(file: Path, monkeypatch: pytest.MonkeyPatch, file_regression: FileRegressionFixture) -> None:
    monkeypatch.chdir(MANIFESTS)
    found = CliRunner().invoke(command, ["convert", file.name])
    assert found.exit_code in (0, 1)
    file_regression.check(f"{found.stdout}\n# ---- standard error, exit {found.exit_code}\n{found.stderr}")


@pytest.mark.parametrize(
    ("text", "code", "lines"),
    [
        pytest.param(WHOLE, 0, ["1 object made; 0 fields lost, 0 to check"], id="0 if nothing is lost"),
        pytest.param(
            f"{WHOLE}    odd: 1\n",
            1,
            ["w.yaml:8:5: lost: JobFlow w: spec.flows[0].odd: convert does not know this field", "1 field lost"],
            id="1 if something is",
        ),
        pytest.param("a: [", 2, ["w.yaml:2:1: this is no YAML"], id="2 if it cannot be read"),
    ],
)
def test_exit_codes(tmp_path: Path, text: str, code: int, lines: list[str]) -> None:
    found = convert(tmp_path, text)
    assert found.exit_code == code
    for line in lines:
        assert line in found.stderr


def test_quiet_says_what_is_lost_alone(tmp_path: Path) -> None:
    text = WHOLE.replace("name: a", "name: A_b")
    assert "check: JobFlow w: spec.flows[0].name" in convert(tmp_path, text).stderr
    assert "check: JobFlow" not in convert(tmp_path, text, "--quiet").stderr


def test_without_a_file() -> None:
    found = CliRunner().invoke(command, ["convert"])
    assert found.exit_code == 2
    assert "name a file, a folder, or - " in found.output


def test_a_workflow_without_api_version_is_not_passed_on(tmp_path: Path) -> None:
    found = convert(tmp_path, "kind: Workflow\nmetadata: {name: w}\nspec: {flows: [{name: a}]}\n")
    assert (found.exit_code, found.stdout) == (1, "")
    assert "lost: Workflow w: apiVersion must be given, such as flow.workflow.sh/v1alpha1" in found.stderr
