"""What a person reads when something outside goes wrong."""

from __future__ import annotations

import pytest

from hack.cluster.errors import build_failure, start_failure
from hack.cluster.go_toolchain import is_new_enough, parse_go_version
from hack.cluster.progress import clock_text


@pytest.mark.parametrize(
    ("output", "start"),
    [
        pytest.param(
            "write /x/y.o: no space left on device", "no disk space left while building etcd in /cache", id="full disk"
        ),
        pytest.param(
            "Get https://proxy/x.zip: dial tcp: lookup proxy: no such host",
            "no network while building etcd",
            id="no name server",
        ),
        pytest.param(
            "dial tcp 127.0.0.1:1: connect: connection refused", "no network while building etcd", id="no proxy"
        ),
        pytest.param(
            "go: go.mod requires go >= 1.26.0 (running go 1.20)", "building etcd needs Go 1.26.0 or newer", id="old Go"
        ),
        pytest.param("a.go:1: undefined: x\n\n", "building etcd failed: a.go:1: undefined: x", id="anything else"),
    ],
)
def test_a_failed_build_says(output: str, start: str) -> None:
    text = str(build_failure("etcd", output, "/cache"))
    assert text.startswith(start)
    assert "\n" not in text


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(
            "listen tcp 127.0.0.1:22003: bind: address already in use", "port 22003 is in use", id="port taken"
        ),
        pytest.param("write: no space left on device", "no disk space left for /logs", id="full disk"),
        pytest.param(
            "one\ntwo\nthree\nfour\n", "could not start: two | three | four (logs: /logs)", id="anything else"
        ),
        pytest.param(
            '{"level":"ERROR","msg":"Execute exit","err":"no such kind"}',
            "could not start: Execute exit: no such kind (logs",
            id="a log of JSON lines",
        ),
        pytest.param("", "could not start: it said nothing (logs: /logs)", id="silence"),
    ],
)
def test_a_failed_start_says(output: str, expected: str) -> None:
    assert expected in str(start_failure("the control plane", output, "/logs"))


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 linux/amd64", (1, 27)),
        ("go version devel", None),
    ],
)
def test_the_version_of_go_is_read(text: str, version: tuple[int, ...] | None) -> None:
    assert parse_go_version(text) == version


@pytest.mark.parametrize(
    ("found", "enough"),
    [
        pytest.param((1, 26, 0), True, id="the same"),
        pytest.param((1, 26, 8), True, id="a newer patch"),
        pytest.param((1, 27), True, id="a newer one without a patch number"),
        pytest.param((1, 26), True, id="the first of the same, without a patch number"),
        pytest.param((2,), True, id="a new major version"),
        pytest.param((1, 25, 9), False, id="an older one"),
        pytest.param(None, False, id="none"),
    ],
)
def test_go_1_26_0_is_satisfied_by(found: tuple[int, ...] | None, enough: bool) -> None:
    assert is_new_enough(found, (1, 26, 0)) is enough


def test_elapsed_time_is_minutes_and_seconds() -> None:
    assert (clock_text(0), clock_text(61.9), clock_text(600)) == ("0:00", "1:01", "10:00")
