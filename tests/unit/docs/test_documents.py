"""The documents name files and headings that exist, and the glossary stays short."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
FOLDERS = ("cmd", "docs", "examples", "hack", "installer", "pkg", "tests")
MAX_TERMS = 30
TERM = re.compile(r"^\| \*\*(.+?)\*\* \| \S.* \| `(\S+)` \|$", re.MULTILINE)
# A path below one of the repository's folders, or any name of a module or document.
PATH = re.compile(
    r"(?<![\w/.:-])(?:(?:cmd|docs|examples|hack|installer|pkg|tests)/[\w./-]*[\w/]|[\w./-]+\.(?:py|md))(?![\w*<{])"
)


@cache
def text_of(document: str) -> str:
    return (ROOT / document).read_text("utf-8")


@cache
def paths() -> frozenset[str]:
    """Every file of the repository's folders and top, and every folder with a slash at its end."""
    found = [path for folder in FOLDERS for path in (ROOT / folder, *(ROOT / folder).rglob("*"))]
    names = [f"{path.relative_to(ROOT).as_posix()}{'/' if path.is_dir() else ''}" for path in found]
    return frozenset({*names, *(path.name for path in ROOT.iterdir() if path.is_file())})


@cache
def endings() -> frozenset[str]:
    """Each path, and what remains of it when leading folders are left out."""
    found = set()
    for path in paths():
        parts = path.split("/")
        found |= {"/".join(parts[at:]) for at in range(len(parts))}
    return frozenset(found)


def anchors(document: str) -> set[str]:
    """The anchors that GitHub gives to the headings."""
    without_code = re.sub(r"^```.*?^```", "", text_of(document), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: str) -> list[str]:
    """The targets of all links that are not addresses of the web."""
    return [to for to in re.findall(r"\]\(([^)\s]+)\)", text_of(document)) if "://" not in to]


@pytest.mark.parametrize(
    ("document", "to"), [(document, to) for document in DOCUMENTS for to in links(document)], ids=lambda value: value
)
def test_a_link_leads_to_a_file_and_a_heading_that_exist(document: str, to: str) -> None:
    path, _, anchor = to.partition("#")
    target = (ROOT / document).parent / path if path else ROOT / document
    assert target.exists(), f"{document} links to {path}"
    if anchor:
        assert anchor in anchors(target.resolve().relative_to(ROOT).as_posix()), f"{document} links to {to}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_named_file_exists(document: str) -> None:
    named = set(PATH.findall(text_of(document)))
    missing = {name for name in named if name.removeprefix("../") not in endings() and f"{name}/" not in endings()}
    assert not missing, f"{document} names files that do not exist"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("in `pkg/kube/client.py`, as", ["pkg/kube/client.py"]),
        ("see lease.py.", ["lease.py"]),
        ("under tests/unit/ and `docs/kinds.md`", ["tests/unit/", "docs/kinds.md"]),
        ("the folder `hack/cluster` has", ["hack/cluster"]),
        ("https://example.com/docs/a.md is elsewhere", []),
        ("pkg/*.py and tests/<name>.py are patterns", []),
    ],
)
def test_what_counts_as_a_named_file(text: str, found: list[str]) -> None:
    assert PATH.findall(text) == found


def test_the_glossary_has_at_most_30_terms_in_order() -> None:
    terms = [term for term, _ in TERM.findall(text_of("docs/glossary.md"))]
    rows = [line for line in text_of("docs/glossary.md").splitlines() if line.startswith("| **")]
    assert len(rows) == len(terms) <= MAX_TERMS, "every row has a term, its meaning and a file"
    assert terms == sorted(set(terms))


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md"])
def test_the_glossary_is_linked(document: str) -> None:
    assert "docs/glossary.md" in links(document)
