"""docs/cli.md has a section for each verb, names all of its options, and shows commands that the verbs take."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pkg.cli import problems
from pkg.cli.app import SECTIONS, command

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text("utf-8")
COMMON = {"--help", "--namespace", "--all-namespaces", "--context", "--kubeconfig"}
VERBS = [name for section in SECTIONS.values() for name in section]
PARTS = dict(re.findall(r"^### (\S+)\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))
#: What is said of several verbs at once, before the section of the first.
SHARED = {
    title: re.search(rf"^## {re.escape(title)}\n(.*?)^### ", TEXT, re.MULTILINE | re.DOTALL) for title in SECTIONS
}


def verb(name: str) -> click.Command:
    found = command.get_command(click.Context(command), name)
    assert found is not None
    return found


def leaves(found: click.Command) -> Iterator[click.Command]:
    """The command, or those of a group."""
    if isinstance(found, click.Group):
        yield from found.commands.values()
    else:
        yield found


def shown(name: str) -> list[list[str]]:
    """The words behind `kubectl workflow` of each command line in the section of a verb."""
    lines = re.findall(r"^\$ kubectl workflow (.*)$", PARTS[name], re.MULTILINE)
    return [shlex.split(re.split(r" +(?:#|&&) ", line)[0]) for line in lines]


def test_there_is_a_section_for_each_verb_and_for_nothing_else() -> None:
    assert list(PARTS) == VERBS
    links = re.findall(r"\[([a-z]+)\]\(#([a-z]+)\)", TEXT.split("## What all", 1)[0])
    assert [name for name, _ in links] == VERBS
    assert all(name == anchor for name, anchor in links)


@pytest.mark.parametrize("name", VERBS)
def test_every_option_is_named(name: str) -> None:
    section = next(title for title, verbs in SECTIONS.items() if name in verbs)
    shared = SHARED[section]
    text = PARTS[name] + (shared.group(1) if shared else "")
    options = {option for each in leaves(verb(name)) for param in each.params for option in param.opts}
    missing = {option for option in options if option.startswith("--")} - COMMON - set(re.findall(r"--[a-z-]+", text))
    assert name == "template" or missing == set()


@pytest.mark.parametrize("name", VERBS)
def test_every_command_that_is_shown_is_taken(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in ("nightly.yaml", "running.yaml"):
        Path(file).write_text("")
    Path("manifests").mkdir()
    lines = shown(name)
    assert lines or name == "completion"
    for words in lines:
        found, rest = verb(words[0]), words[1:]
        assert words[0] == name
        if isinstance(found, click.Group):
            found, rest = found.commands[rest[0]], rest[1:]
        found.make_context(found.name, list(rest))


def test_the_exit_codes_are_those_of_the_code() -> None:
    of_page = re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)
    assert problems.__doc__ is not None
    assert of_page == re.findall(r"^\| (\d+) \|", problems.__doc__, re.MULTILINE)
