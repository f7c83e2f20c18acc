"""The table of verbs: each can be imported, and none is imported before it is called."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(
            ["lsit"], 'there is no verb "lsit"; did you mean "list"? kubectl workflow --help says more', id="a slip"
        ),
        pytest.param(["xyz"], 'there is no verb "xyz"; kubectl workflow --help says more', id="another word"),
        pytest.param(
            ["template", "gett"],
            'there is no verb "gett"; did you mean "get"? kubectl workflow template --help says more',
            id="a slip in a group",
        ),
        pytest.param(["get"], "missing argument 'NAME'; kubectl workflow get --help says more", id="no name"),
        pytest.param(
            ["list", "--phase", "Done"],
            "invalid value for '--phase': \"Done\" is no phase; there are Pending, Running, Suspended, Terminating, "
            "Succeeded, Failed; kubectl workflow list --help says more",
            id="a phase that there is not",
        ),
        *(
            pytest.param(
                words.split(),
                f"no such option '{option}' before the verb; write {option} after the verb: {right}",
                id=words,
            )
            for words, option, right in (
                ("-n default list", "-n", "kubectl workflow list -n default"),
                ("--context nosuch list", "--context", "kubectl workflow list --context nosuch"),
                ("-n list get nightly", "-n", "kubectl workflow get -n list nightly"),
                ("-A cron list", "-A", "kubectl workflow cron list -A"),
                ("-n default", "-n", "kubectl workflow VERB -n default"),
                ("cron -n default list", "-n", "kubectl workflow cron VERB -n ..."),
            )
        ),
        pytest.param(["--nope"], "no such option '--nope'; kubectl workflow --help says more", id="an unknown option"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], said: str) -> None:
    done = CliRunner().invoke(command, words, prog_name="kubectl workflow")
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"error: {said}\n")


def test_help_cuts_no_line_of_a_verb() -> None:
    shown = CliRunner().invoke(command, ["--help"], terminal_width=80).output
    lines = [line for line in shown.splitlines() if line.startswith("  ")]
    assert [line for line in lines if line.endswith("...") or len(line) > 80] == []
    starts = {line.split()[0]: line for line in lines}
    assert [name for name in ("lint", "plan", "convert") if not starts[name].endswith(".")] == []


def test_without_a_verb_it_prints_all_verbs() -> None:
    done = CliRunner().invoke(command, [])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == CliRunner().invoke(command, ["--help"]).stdout


def test_the_version_is_that_of_the_package() -> None:
    assert CliRunner().invoke(command, ["version", "--client"]).output == f"Client: {VERSION}\n"


#: Packages that a verb imports when it does its work, and not to say what its options are.
WORK = (
    "jsonpatch",
    "pkg.apis.flow",
    "pkg.controllers",
    "pkg.convert",
    "pkg.kinds",
    "pkg.kube.client",
    "pkg.kube.config",
    "pkg.views",
    "pkg.webhooks",
    "pkg.workloads",
    "ssl",
    "yaml",
)


def _imported(*words: str) -> set[str]:
    """Every module that the command loads when it is called with these words, in a process of its own."""
    code = "import sys; from pkg.cli.app import command; command(sys.argv[1:], standalone_mode=False)"
    report = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    done = subprocess.run(
        [sys.executable, "-c", f"{report}; {code}", *words], check=False, capture_output=True, text=True
    )
    return set(done.stderr.splitlines()[-1].split())


def _of(packages: Iterable[str], modules: set[str]) -> set[str]:
    return {name for name in packages if any(module == name or module.startswith(f"{name}.") for module in modules)}


def test_the_help_of_all_verbs_imports_nothing_of_their_work() -> None:
    """The page of all verbs imports the module of each, so it has what any verb imports before it is called."""
    loaded = _imported("--help")
    assert {f"pkg.cli.verbs.{name}" for name in VERBS} <= loaded
    assert _of([*SLOW, *WORK], loaded) == set()


OFFLINE_SPARED = {*(SLOW - {"cel_expr_python"}), "pkg.kube.client", "pkg.kube.config", "ssl"}


@pytest.mark.parametrize(
    ("words", "spared"),
    [
        (["lint"], {*OFFLINE_SPARED, "pkg.controllers", "pkg.convert"}),
        (["convert"], {*OFFLINE_SPARED, "pkg.controllers"}),
        (["render"], {*OFFLINE_SPARED, "pkg.convert"}),
        (["graph", "-f"], {*OFFLINE_SPARED, "pkg.controllers", "pkg.convert"}),
        (["plan", "-f"], {*OFFLINE_SPARED, "pkg.convert"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_verb_that_works_on_files_imports_only_what_it_needs(words: list[str], spared: set[str]) -> None:
    loaded = _imported(*words, "examples/01-sequential.yaml")
    assert _of(["pkg.views"], loaded) == {"pkg.views"}, "it did no work"
    assert _of(spared, loaded) == set()


@pytest.mark.parametrize("module", ["pkg.cli.app", "pkg.cli.connection", "pkg.cli.output", "pkg.kube.client"])
def test_starting_imports_nothing_slow(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(name for name in sys.modules if '.' not in name))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert set(loaded.split()) & SLOW == set()
