"""The address of a log that is kept elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from pkg.kube.client import Client
from pkg.kube.errors import Forbidden, NotFound
from pkg.views.log_address import HOME, KEY, VARIABLE, Attempt, TemplateError, address, read_template
from tests.manifests import decoded

ATTEMPT = Attempt("team", "nightly", "u", "train", "3", "1", "nightly-train-3-r1", "nightly-train-3-r1-x7k2p", "s", "e")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        pytest.param(
            "https://logs/{namespace}/{pod}?a={attempt}", "https://logs/team/nightly-train-3-r1-x7k2p?a=1", id="places"
        ),
        pytest.param("https://logs/", "https://logs/", id="no places"),
        pytest.param("https://logs/{{x", "https://logs/{{x", id="other braces stay"),
    ],
)
def test_address(template: str, text: str) -> None:
    assert address(template, ATTEMPT) == text


def test_values_are_percent_encoded() -> None:
    assert (
        address("{start}", replace(ATTEMPT, start="2027-01-15T08:00:00Z&x=/")) == "2027-01-15T08%3A00%3A00Z%26x%3D%2F"
    )


def test_an_unknown_place_is_named_with_the_known_ones() -> None:
    with pytest.raises(TemplateError, match=r"\{cluster\}; it may have \{namespace\}, \{workflow\}"):
        address("https://logs/{cluster}", ATTEMPT)


class _Maps:
    """A client of ConfigMaps; a namespace without one answers 404, and `secret` answers 403."""

    def __init__(self, **maps: str) -> None:
        self._maps = maps

    def get(self, _gvr: object, namespace: str, name: str, kind: Any) -> Any:
        if namespace == "secret":
            raise Forbidden("no", status=403)
        if namespace not in self._maps:
            raise NotFound("none", status=404)
        return decoded({"metadata": {"name": name}, "data": {KEY: self._maps[namespace]}}, kind)


@pytest.mark.parametrize(
    ("given", "env", "maps", "namespace", "template"),
    [
        pytest.param("g", {VARIABLE: "v"}, {"team": "t"}, "team", "g", id="the option comes first"),
        pytest.param("", {VARIABLE: "v"}, {"team": "t"}, "team", "v", id="then the variable"),
        pytest.param(
            "", {}, {"team": "t", "workflow-system": "w"}, "team", "t", id="then the namespace of the workflow"
        ),
        pytest.param("", {}, {"workflow-system": "w"}, "team", "w", id="then that of the installation"),
        pytest.param("", {}, {"workflow-system": "w"}, "secret", "w", id="without a right to read the first"),
        pytest.param("", {}, {}, "team", "", id="none"),
    ],
)
def test_where_the_template_is_from(
    given: str, env: dict[str, str], maps: dict[str, str], namespace: str, template: str
) -> None:
    assert HOME == "workflow-system"
    assert read_template(cast("Client", _Maps(**maps)), namespace, given, env) == template
