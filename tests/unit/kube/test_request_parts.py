"""Paths and queries of requests."""

from __future__ import annotations

import itertools
import sys

import pytest

from pkg.apis.meta import GVR
from pkg.kube.errors import Refused
from pkg.kube.request_parts import checked_path, path_of, query_of_write

PODS = GVR("", "v1", "pods")
JOBS = GVR("batch", "v1", "jobs")
WORDS = (
    None,
    "",
    "a",
    "a.b",
    "..",
    ".",
    "...",
    "a/b",
    "a/..",
    "../b",
    "/a",
    "a/",
    "a b",
    "a\n",
    "a?b",
    "system:x",
    "ä",
)
NAMES = ("a", "a.b", "...", "system:x")
"""Those of WORDS that may be the name of an object."""


def checked(gvr: GVR, namespace: str | None, name: str | None, subresource: str | None) -> str:
    """What the path of the whole says, where the name is one part of it."""
    try:
        checked_path(gvr.path(namespace))
        return checked_path(gvr.path(namespace, name, subresource))
    except Refused as error:
        return str(error)


def ask(namespace: str | None, name: str | None, gvr: GVR = JOBS, subresource: str | None = None) -> str:
    try:
        return path_of(gvr, namespace, name, subresource)
    except Refused as error:
        return str(error)


@pytest.mark.parametrize("gvr", [PODS, JOBS, GVR("", "v1", "a b"), GVR("a/../b", "v1", "x")], ids=str)
def test_parts_give_the_path_that_the_whole_gives(gvr: GVR) -> None:
    """Only the part with the name is looked at again, and it must not make another URL of the path."""
    for namespace, name, subresource in itertools.product(WORDS, (None, *NAMES), (None, "", "status")):
        if name is not None or not subresource:
            for _ in range(2):
                assert ask(namespace, name, gvr, subresource) == checked(gvr, namespace, name, subresource)


@pytest.mark.parametrize("name", [word for word in WORDS if word is not None and word not in NAMES])
@pytest.mark.parametrize("subresource", [None, "status"])
def test_a_name_that_no_object_can_have_is_refused(name: str, subresource: str | None) -> None:
    """Else an empty one would lead to the collection, and `a/status` to a part of the object that was not meant."""
    said = f"{name!r} is not the name of an API object (InvalidName)"
    assert ask("n", name, subresource=subresource) == ask(None, name, subresource=subresource) == said


@pytest.mark.parametrize("text", ["x" * 2_000, "x!" * 20], ids=["too long", "refused"])
@pytest.mark.parametrize("name", [None, "a"], ids=["collection", "object"])
def test_a_namespace_that_cannot_be_does_not_stay_in_memory(text: str, name: str | None) -> None:
    namespace = f"{text}-{name}"
    before = sys.getrefcount(namespace)
    assert ask(namespace, name) == checked(JOBS, namespace, name, None)
    assert sys.getrefcount(namespace) == before


@pytest.mark.parametrize(
    ("path", "is_plain"),
    [
        ("/version", True),
        ("/apis/batch/v1", True),
        ("/a/...", True),
        ("/a/..b/.c", True),
        ("/a/..", False),
        ("/a/./b", False),
        ("/../a", False),
        ("//a", False),
        ("/a/", False),
        ("/", False),
        ("", False),
        ("a", False),
        ("/a\n", False),
        ("/..\n", False),
        ("/a?b", False),
        ("/%2e%2e", False),
    ],
)
def test_a_plain_path_has_no_part_that_leads_elsewhere(path: str, is_plain: bool) -> None:
    if is_plain:
        assert checked_path(path) == path
    else:
        with pytest.raises(Refused, match="not the path"):
            checked_path(path)


@pytest.mark.parametrize(
    ("field_validation", "dry_run", "query"),
    [
        pytest.param("", False, "", id="nothing"),
        pytest.param("Warn", False, "fieldValidation=Warn", id="what an unknown field means"),
        pytest.param("", True, "dryRun=All", id="nothing is stored"),
        pytest.param("Strict", True, "fieldValidation=Strict&dryRun=All", id="both"),
        pytest.param("a&b", False, "fieldValidation=a%26b", id="text that has to be quoted"),
    ],
)
def test_the_query_of_a_write(field_validation: str, dry_run: bool, query: str) -> None:
    assert query_of_write(field_validation, dry_run) == query
