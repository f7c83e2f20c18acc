"""What the shell is offered, without an API server: verbs, options and choices. Names are tried on a real cluster."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from pkg.cli.app import command
from pkg.cli.complete import candidates


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        pytest.param(["li"], {"list", "lint"}, id="verbs"),
        pytest.param(["list", "--ph"], {"--phase"}, id="options"),
        pytest.param(["get", "-o", ""], {"wide", "json", "yaml", "name"}, id="choices"),
        pytest.param(["completion", ""], {"bash", "zsh", "fish"}, id="shells"),
        pytest.param(["template", ""], {"list", "get"}, id="verbs of a group"),
        pytest.param(["cron", ""], {"list", "trigger", "suspend", "resume"}, id="verbs of cron"),
        pytest.param(["approve", "--kubeconfig", "/nonexistent/file", "ship", ""], set(), id="no cluster, no flows"),
        pytest.param(["get", "--kubeconfig", "/nonexistent/file", ""], set(), id="no cluster, no names"),
    ],
)
def test_candidates(words: list[str], offered: set[str]) -> None:
    lines, directive = candidates(words)
    assert {line.split("\t")[0] for line in lines} == offered
    assert directive == 4


def test_a_file_is_completed_by_the_shell() -> None:
    assert candidates(["list", "--kubeconfig", ""]) == ([], 0)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_calls_the_command(shell: str) -> None:
    script = CliRunner().invoke(command, ["completion", shell]).output
    assert f"_KUBECTL_WORKFLOW_COMPLETE={shell}_complete" in script
