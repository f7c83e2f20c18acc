"""Wrong calls of the verbs that act end before anything is asked of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from pkg.cli.app import command

NAMES = "name workflows, or choose them with -l, --phase, --older or --all"


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        *(
            pytest.param([verb], 2, f"name the workflows to {verb}, or choose them with -l LABELS or --all", id=verb)
            for verb in ("suspend", "resume", "stop", "terminate")
        ),
        pytest.param(
            ["stop", "a", "--all"],
            2,
            "name the workflows to stop or choose them with -l LABELS or --all, not both",
            id="names and --all",
        ),
        pytest.param(
            ["stop", "-l", "a=b", "--all"],
            2,
            "choose the workflows to stop with -l LABELS or with --all, not both",
            id="labels and --all",
        ),
        pytest.param(["stop", "a", "-A"], 2, "a name belongs to one namespace", id="a name in all namespaces"),
        pytest.param(["stop", "A_b"], 2, '"A_b" cannot be the name of a workflow', id="no name"),
        pytest.param(["stop", "../x"], 2, '"../x" cannot be the name of a workflow', id="a path"),
        pytest.param(["delete"], 2, NAMES, id="delete without anything"),
        pytest.param(
            ["delete", "a", "--older", "1d"],
            2,
            "name workflows or choose them with -l, --phase, --older or --all, not both",
            id="delete: names and filters",
        ),
        pytest.param(
            ["template", "get", "a_b"], 2, '"a_b" cannot be the name of a WorkTemplate', id="template: no name"
        ),
        pytest.param(
            ["submit", "-f", "argo.yaml"],
            1,
            "argo.yaml:1:1: submit takes Workflows, WorkTemplates and CronWorkflows of flow.workflow.sh/v1alpha1, and"
            " this is Workflow w of argoproj.io/v1alpha1; nothing was submitted. kubectl workflow convert argo.yaml"
            " translates it\n",
            id="submit: a Workflow of Argo",
        ),
        pytest.param(
            ["delete", "a", "-A"], 2, "-A needs -l, --phase, --older or --all", id="delete: a name everywhere"
        ),
        pytest.param(["delete", "--all", "--phase=Failed"], 2, "--all means every phase", id="delete: two meanings"),
        pytest.param(["delete", "--phase=done"], 2, '"done" is no phase; there are Pending', id="delete: no phase"),
        pytest.param(["delete", "--older=week"], 2, '"week" is no age', id="delete: no age"),
        pytest.param(["retry", "w", "-p", "x"], 2, '"x" is no parameter: write name=value', id="retry: no parameter"),
        pytest.param(["retry", "a_b"], 2, '"a_b" cannot be the name of a workflow', id="retry: no name"),
        pytest.param(
            ["resubmit", "a", "--name", "B"], 2, '"B" cannot be the name of a workflow', id="resubmit: no name"
        ),
        pytest.param(["submit"], 2, "missing option '-f'", id="submit: no file"),
        pytest.param(
            ["submit", "-f", "x.yaml"], 2, "x.yaml: there is no such file or folder", id="submit: no such file"
        ),
        pytest.param(
            ["submit", "-f", "empty.yaml"], 2, "there is no Workflow in these files", id="submit: an empty file"
        ),
        pytest.param(
            ["submit", "-f", "pod.yaml"],
            1,
            "pod.yaml:1:1: submit takes Workflows, WorkTemplates and CronWorkflows, and this is Pod p; nothing was",
            id="submit: another kind",
        ),
        pytest.param(["submit", "-f", "broken.yaml"], 1, "broken.yaml:2:1: this is no YAML", id="submit: broken YAML"),
        pytest.param(
            ["submit", "-f", "faulty.yaml"],
            1,
            "error: nothing was submitted: correct these faults first",
            id="submit: faults",
        ),
        pytest.param(
            ["submit", "-f", "placed.yaml", "-n", "other"],
            1,
            "placed.yaml:1:77: Workflow w is of namespace mine, not of -n other",
            id="submit: two namespaces",
        ),
        pytest.param(["suspend", "w"], 1, "nowhere", id="no cluster"),
        pytest.param(["delete", "--older=0s"], 1, "nowhere", id="delete: an age of nothing is an age"),
    ],
)
def test_wrong_calls(arguments: list[str], code: int, message: str) -> None:
    Path("empty.yaml").write_text("---\n")
    Path("pod.yaml").write_text("{apiVersion: v1, kind: Pod, metadata: {name: p}}")
    Path("argo.yaml").write_text("{apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: w}}")
    Path("broken.yaml").write_text("a: [")
    ours = "{apiVersion: flow.workflow.sh/v1alpha1, kind: Workflow, metadata: {name: w%s}, spec: {flows: [%s]}}"
    Path("faulty.yaml").write_text(ours % ("", "{name: A}"))
    Path("placed.yaml").write_text(ours % (", namespace: mine", "{name: a}"))
    done = CliRunner().invoke(command, arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
