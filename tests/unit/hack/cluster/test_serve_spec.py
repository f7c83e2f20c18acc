"""What the annotation sim.workflow.sh/serve can say, and that the two readers of its rule agree."""

from __future__ import annotations

import re

import pytest

from hack.cluster.annotations import ANNOTATIONS
from hack.cluster.serve_spec import Listener, parse_serve


@pytest.mark.parametrize(
    ("text", "listeners"),
    [
        pytest.param("http:8080", (Listener(8080, True),), id="one HTTP port"),
        pytest.param("http:8080,tcp:9000", (Listener(8080, True), Listener(9000, False)), id="HTTP and TCP"),
        pytest.param("http:8080/ready=503", (Listener(8080, True, {"/ready": 503}),), id="a status for a path"),
        pytest.param(
            "http:80/a/b=404/=500", (Listener(80, True, {"/a/b": 404, "/": 500}),), id="several, the root too"
        ),
    ],
)
def test_serve(text: str, listeners: tuple[Listener, ...]) -> None:
    assert parse_serve(text) == listeners


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8080",
        "http:",
        "http:x",
        "http:0",
        "tcp:70000",
        "udp:53",
        "http:8080,",
        "http:80,tcp:80",
        "http:80/x",
        "http:80/x=99",
        "tcp:9/x=200",
    ],
)
def test_what_serve_does_not_take(text: str) -> None:
    with pytest.raises(ValueError, match="serve"):
        parse_serve(text)


def test_a_status_is_found_by_the_path_without_its_query() -> None:
    (listener,) = parse_serve("http:8080/ready=503")
    assert [listener.status(path) for path in ("/ready", "/ready?x=1", "/ready/", "/")] == [503, 503, 200, 200]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("run-for", ["0", "2s", "1m30s", "500ms", "1.5h", "forever"], ["", "2", "-1s", "2 s", "1d", "Forever", "2s "]),
        ("start-after", ["0", "1s"], ["forever", ""]),
        ("ready-after", ["1s"], ["soon"]),
        ("exit-code", ["0", "1", "42", "137", "255"], ["", "256", "-1", "01", "1.0"]),
        ("fail-until-attempt", ["0", "2", "10"], ["", "x", "-1"]),
        ("termination-message", ["0.93", '{"a": [1]}'], ["", "x" * 1001, "a\nb"]),
        ("serve", ["http:8080", "tcp:1,http:2/x=503"], ["", "x", "http:8080,"]),
    ],
)
def test_the_values_of_each_annotation(name: str, good: list[str], bad: list[str]) -> None:
    (rule,) = [annotation for annotation in ANNOTATIONS if annotation.name == f"sim.workflow.sh/{name}"]
    assert [value for value in good if not re.search(rule.pattern, value)] == []
    # `$` of Python would pass a trailing newline, which RE2 does not: none of these has one.
    assert [value for value in bad if re.search(rule.pattern, value)] == []


def test_every_annotation_has_values_tested_above() -> None:
    assert len(ANNOTATIONS) == 7
