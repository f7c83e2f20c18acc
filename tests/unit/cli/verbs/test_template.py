"""The texts of `template list` and `template get`."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.cli.output import Screen
from pkg.cli.verbs.template import render, render_one
from pkg.views.template_list import Listed, line
from tests.manifests import decoded
from tests.unit.cli.conftest import NOW, Golden


def template(name: str, spec: dict[str, Any], *users: str) -> Listed:
    metadata = {"name": name, "namespace": "team", "creationTimestamp": "2027-01-15T07:00:00Z"}
    status = {"usedBy": {"count": len(users), "names": users}}
    return decoded({"metadata": metadata, "spec": spec, "status": status}, Listed)


FOUND = [
    template(
        "train",
        {
            "gvr": {"group": "kubeflow.org", "version": "v1", "resource": "pytorchjobs"},
            "parameters": [{"name": "epochs", "value": "3"}, {"name": "data"}, {"name": "text", "value": "a b " * 20}],
        },
        *(f"nightly-{number}" for number in range(12)),
    ),
    template("pod", {"gvr": {"version": "v1", "resource": "pods"}}),
]


@pytest.mark.parametrize("to", [Screen(80), Screen(160)], ids=["80", "160"])
def test_list(golden: Golden, to: Screen) -> None:
    golden(render([line(one, NOW) for one in FOUND], to, namespaces=to.width == 160))


@pytest.mark.parametrize("to", [Screen(80), Screen()], ids=["80", "piped"])
def test_get(golden: Golden, to: Screen) -> None:
    golden([text for one in FOUND for text in render_one(line(one, NOW), to)])
