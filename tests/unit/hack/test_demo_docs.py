"""What the documents say exists: flags, make targets, linked files and headings."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from pkg.controllers.app import command

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
TARGETS = set(re.findall(r"^([a-z.][a-z-]*):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
README = DOCUMENTS[0].read_text("utf-8")


def anchors(text: str) -> set[str]:
    """The anchors that headings get: lower case, punctuation dropped, spaces made hyphens."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.name))
def test_links_lead_somewhere(path: Path) -> None:
    text = path.read_text("utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), link


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.name))
def test_make_targets_that_are_named_exist(path: Path) -> None:
    text = path.read_text("utf-8")
    named = {
        word
        for line in re.findall(r"(?:`|^\$ )make ([^`#\n]*)", text, re.MULTILINE)
        for word in re.sub(r'"[^"]*"', "", line.split("&&")[0]).split()
        if re.fullmatch(r"\.?[a-z][a-z-]*", word)
    }
    assert named <= TARGETS


def test_every_flag_is_in_the_readme() -> None:
    flags = {name for option in command.params for name in option.opts if name.startswith("--")}
    told = set(re.findall(r"`(--[a-z-]+)`", README))
    assert flags - {"--help"} == told & flags


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
    told = set(re.findall(r"\(examples/([\w-]+\.yaml)\)", README))
    assert told == {path.name for path in (ROOT / "examples").glob("*.yaml")}
