"""The options of the cluster, and what a verb gets."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from pkg.cli.connection import Connection, cluster_options
from pkg.kube.errors import Forbidden


@click.command()
@click.option("--words", default="")
@cluster_options(all_namespaces=True)
def verb(connection: Connection, words: str) -> None:
    """Says what it works on."""
    if words:
        raise Forbidden(words, status=403)
    click.echo(f"{connection.config.server} {connection.namespace} {connection.scope}")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    document = {
        "current-context": "one",
        "clusters": [{"name": n, "cluster": {"server": f"https://{n}:1"}} for n in ("one", "two")],
        "contexts": [
            {"name": "one", "context": {"cluster": "one"}},
            {"name": "two", "context": {"cluster": "two", "namespace": "team"}},
        ],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param([], "https://one:1 default default", id="the current context, without a namespace"),
        pytest.param(["--context=two"], "https://two:1 team team", id="another context, and its namespace"),
        pytest.param(["--context=two", "-n", "mine"], "https://two:1 mine mine", id="a namespace that is given"),
        pytest.param(["--context=two", "-A"], "https://two:1 team None", id="all namespaces"),
    ],
)
def test_a_verb_works_on(file: Path, flags: list[str], expected: str) -> None:
    done = CliRunner().invoke(verb, [f"--kubeconfig={file}", *flags])
    assert done.output.strip() == expected


@pytest.mark.parametrize("name", ["a/b", "Bad NS", "../kube-system", "a.b", "-a", "n" * 64])
def test_what_cannot_be_a_namespace(file: Path, name: str) -> None:
    done = CliRunner().invoke(verb, [f"--kubeconfig={file}", f"--namespace={name}"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f'error: "{name}" cannot be the name of a namespace: at most 63 lower case letters')


def test_a_context_that_does_not_exist_is_named_with_those_that_do(file: Path) -> None:
    done = CliRunner().invoke(verb, [f"--kubeconfig={file}", "--context=three"])
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "'three'" in done.output
    assert "one, two" in done.output


def test_a_failed_call_is_one_line(file: Path) -> None:
    done = CliRunner().invoke(verb, [f"--kubeconfig={file}", "--words=you may\nnot"])
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "you may not" in done.output
