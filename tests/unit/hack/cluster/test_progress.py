"""What a build says about itself: how much is done, and how long the rest will take."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from hack.cluster.build_work import LINK_BYTES, BuildWork, downloaded, left_text, packages_to_compile, usual_speed
from hack.cluster.progress import PlainProgress

MB = 1_000_000


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(clock: Clock, out: io.StringIO) -> PlainProgress:
    return PlainProgress(2, Console(file=out, width=200), clock)


def test_a_listing_gives_the_bytes_of_each_package_that_has_to_be_compiled() -> None:
    listing = "a/b\t/src/b\tone.go\ttwo.go\n\nc\t/src/c\t\n"
    sizes = {Path("/src/b/one.go"): 10, Path("/src/b/two.go"): 5}
    assert packages_to_compile(listing, sizes.__getitem__) == {"a/b": 15, "c": 0}


def test_a_package_counts_once_and_other_lines_do_not_count() -> None:
    work = BuildWork({"a": 6 * MB, "b": 2 * MB}, programs=3)
    assert work.total == 8 * MB + 3 * LINK_BYTES
    work.compiled(["a", "a", "go: warning: ignored", "unknown/package"])
    assert work.done == 6 * MB
    work.linked()
    assert work.percent == 50


def test_nothing_to_build_is_done() -> None:
    assert BuildWork({}, 0).percent == 100


def test_the_time_left_begins_with_the_usual_speed_and_follows_what_is_measured() -> None:
    work = BuildWork({"a": 100 * MB, "b": 100 * MB}, 0)
    assert work.seconds_left(0, speed=1 * MB) == pytest.approx(200)
    work.compiled(["a"])
    assert work.seconds_left(400, speed=1 * MB) == pytest.approx(100 * MB * 415 / (115 * MB))
    work.compiled(["b"])
    assert work.seconds_left(800, speed=1 * MB) == 0


def test_two_cores_compile_twice_as_much_as_one() -> None:
    assert usual_speed(2) == 2 * usual_speed(1) > 0


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ("go: downloading k8s.io/api v0.36.3", "k8s.io/api v0.36.3"),
        ("k8s.io/api/core/v1", None),
        ("go: finding module", None),
    ],
)
def test_what_is_downloaded(line: str, module: str | None) -> None:
    assert downloaded(line) == module


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "less than a minute left"),
        (59.9, "less than a minute left"),
        (61, "about 1 min left"),
        (600, "about 10 min left"),
    ],
)
def test_the_time_left_in_words(seconds: float, text: str) -> None:
    assert left_text(seconds) == text


def test_a_pipe_gets_a_line_per_program_and_one_every_half_minute(
    progress: PlainProgress, clock: Clock, out: io.StringIO
) -> None:
    progress.plan({"a": 92 * MB, "b": 0}, programs=2)
    progress.begin(1, "kube-apiserver")
    clock.now += 29
    progress.tick()
    clock.now += 1
    progress.line("a")
    clock.now += 60
    progress.linked()
    progress.begin(2, "kubectl")
    clock.now += 1
    progress.done(Path("/cache"))
    first, second, third, last = out.getvalue().splitlines()
    assert first.startswith("building: kube-apiserver (1 of 2), 0 % of all done, 0:00 so far, about ")
    assert second.startswith("still building: kube-apiserver (1 of 2), 92 % of all done, 0:30 so far, ")
    assert third.startswith("building: kubectl (2 of 2), 96 % of all done, 1:30 so far, less than a minute left")
    assert last == "built 2 of 2 components in 1:31: /cache"


def test_downloads_are_shown_before_the_amount_of_work_is_known(
    progress: PlainProgress, clock: Clock, out: io.StringIO
) -> None:
    progress.line("go: downloading k8s.io/api v0.36.3")
    clock.now += 31
    progress.line("go: downloading k8s.io/apimachinery v0.36.3")
    assert out.getvalue() == (
        "still building: downloading Go modules, 2 so far: k8s.io/apimachinery v0.36.3, 0:31 so far\n"
    )
