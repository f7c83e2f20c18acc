"""What is asked of the API server about the rights of people, and how often."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec
import pytest

from pkg.dashboard.access.people import Person
from pkg.dashboard.access.rights import ALLOWED_SECONDS, DENIED_SECONDS, MAX_NAMESPACES, Rights, denied, read_log
from pkg.kube.client import Client
from pkg.kube.errors import Transient


class Server:
    """Answers reviews of access. allowed: namespaces in which everything is; the empty one stands for all."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = set(allowed)
        self.asked: list[str] = []
        self.at_once = self.most = 0
        self.gate = threading.Event()
        self.gate.set()
        self.fails = False
        self._lock = threading.Lock()

    def review(self, _: object, body: Mapping[str, Any], type: Any) -> Any:  # noqa: A002 - as the client calls it
        if self.fails:
            raise Transient("down")
        namespace = body["spec"]["resourceAttributes"]["namespace"]
        with self._lock:
            self.asked.append(namespace)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        assert self.gate.wait(20)
        with self._lock:
            self.at_once -= 1
        return msgspec.convert({"status": {"allowed": namespace in self.allowed}}, type)


class Bench:
    """Rights, a clock, and one person."""

    def __init__(self, *allowed: str) -> None:
        self.server = Server(*allowed)
        self.now = 1_000.0
        self.rights = Rights(lambda: self.now)
        self.person = Person("alice", cast("Client", self.server))
        self.namespaces = [f"ns-{number}" for number in range(300)]

    def visible(self, wanted: str = "") -> set[str] | None:
        found = self.rights.visible(self.person, None, lambda: self.namespaces, wanted)
        return None if found is None else set(found)


@pytest.fixture
def few() -> Iterator[Bench]:
    """Somebody who may list the Workflows of two of 300 namespaces."""
    made = Bench("ns-3", "ns-7")
    yield made
    made.rights.close()


def test_who_may_list_everything_is_asked_about_once() -> None:
    bench = Bench("")
    assert [bench.visible(), bench.visible()] == [None, None]
    assert bench.server.asked == [""]


def test_a_dashboard_of_one_namespace_asks_about_that_one() -> None:
    bench = Bench("team")
    assert bench.rights.visible(bench.person, "team", lambda: ["other"]) == frozenset({"team"})
    assert bench.rights.visible(bench.person, "other", lambda: ["other"]) == frozenset()
    assert bench.server.asked == ["team", "other"]


@pytest.mark.parametrize(
    ("allowed", "scope", "wanted", "hidden"),
    [
        ("", None, "", None),
        ("", None, "ns-1", None),
        ("ns-3", None, "", None),
        ("ns-3", None, "ns-3", None),
        ("ns-3", None, "ns-1", "ns-1"),
        ("ns-3", None, "without-workflows", "without-workflows"),
        ("without-workflows", None, "without-workflows", None),
        ("without-workflows", None, "", ""),
        ("team", "team", "", None),
        ("other", "team", "", "team"),
        ("other", "team", "other", "team"),
    ],
    ids=[
        "who may list all",
        "who may list all looks at one",
        "who may list one sees that",
        "and looks at it",
        "and looks at another one",
        "and at one that has none",
        "who may list one that has none looks at it",
        "and at all",
        "a dashboard of one namespace",
        "of another namespace",
        "of another namespace, also if one asks for one's own",
    ],
)
def test_where_somebody_sees_nothing_for_lack_of_a_right(
    allowed: str, scope: str | None, wanted: str, hidden: str | None
) -> None:
    bench = Bench(allowed)
    visible = bench.rights.visible(bench.person, scope, lambda: bench.namespaces, wanted)
    assert denied(scope, visible, wanted) == hidden
    bench.rights.close()


def test_pages_that_are_read_again_and_again_ask_nothing_new(few: Bench) -> None:
    assert few.visible() == {"ns-3", "ns-7"}
    assert len(few.server.asked) == 301
    for _ in range(4):
        few.now += 1.0
        few.visible()
    assert len(few.server.asked) == 301


def test_one_person_costs_at_most_two_questions_a_second_and_those_about_all(few: Bench) -> None:
    few.visible()
    few.server.asked.clear()
    seconds = 600
    for _ in range(seconds):
        few.now += 1.0
        few.visible()
    each = [name for name in few.server.asked if name not in ("", "ns-3", "ns-7")]
    assert len(each) <= 2 * seconds
    assert few.server.asked.count("") <= seconds / DENIED_SECONDS
    assert few.server.asked.count("ns-3") <= seconds / ALLOWED_SECONDS


def test_a_few_are_asked_at_the_same_time_and_by_one_reader(few: Bench) -> None:
    few.server.gate.clear()
    readers = [threading.Thread(target=few.visible) for _ in range(5)]
    for reader in readers:
        reader.start()
    few.server.gate.set()
    for reader in readers:
        reader.join(20)
    assert few.server.most <= 5, "one about all namespaces per reader, and four of the others"
    assert len([name for name in few.server.asked if name]) == 300


def test_a_right_that_was_taken_away_is_seen_within_half_a_minute(few: Bench) -> None:
    few.visible()
    few.server.allowed.remove("ns-3")
    few.now += ALLOWED_SECONDS
    assert few.visible() == {"ns-7"}


def test_a_new_right_is_seen_at_once_where_somebody_looks_and_later_elsewhere(few: Bench) -> None:
    few.visible()
    few.server.allowed |= {"ns-1", "ns-2"}
    few.now += DENIED_SECONDS
    assert few.visible(wanted="ns-1") == {"ns-1", "ns-3", "ns-7"}
    few.now += 150.0
    assert few.visible() == {"ns-1", "ns-2", "ns-3", "ns-7"}


def test_no_more_than_so_many_namespaces_are_asked_about(few: Bench) -> None:
    few.namespaces = [f"n-{number}" for number in range(MAX_NAMESPACES + 50)]
    few.visible()
    assert len(few.server.asked) == MAX_NAMESPACES + 1


@pytest.mark.parametrize("wanted", ["n-1049", "without-workflows"])
def test_whoever_looks_at_a_namespace_is_asked_about_it_in_any_case(few: Bench, wanted: str) -> None:
    few.namespaces = [f"n-{number}" for number in range(MAX_NAMESPACES + 50)]
    few.server.allowed = {wanted}
    assert few.visible() == set()
    assert few.visible(wanted) == {wanted}
    assert few.server.asked.count(wanted) == 1


def test_answers_that_nobody_takes_any_more_are_forgotten(few: Bench) -> None:
    few.namespaces = []
    for number in range(100):
        few.visible(f"made-up-{number}")
    assert few.rights.answers == 101
    few.now += 600.0
    few.visible()
    assert few.rights.answers == 1


def test_an_answer_that_does_not_come_is_no_answer(few: Bench) -> None:
    few.server.fails = True
    with pytest.raises(Transient):
        few.visible()
    few.server.fails = False
    assert few.visible() == {"ns-3", "ns-7"}


def test_another_right_is_another_question() -> None:
    bench = Bench("team")
    assert bench.rights.may(bench.person, read_log("p"), "team")
    assert not bench.rights.may(bench.person, read_log("p"), "other")
    assert bench.server.asked == ["team", "other"]
