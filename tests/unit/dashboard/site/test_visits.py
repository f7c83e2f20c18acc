"""Who has how many streams, and when they end."""

from __future__ import annotations

from typing import cast

import pytest

from pkg.dashboard.access.people import Person
from pkg.dashboard.live.viewer import Viewer
from pkg.dashboard.site.visits import MAX_EACH, MAX_LOGS, Stream, TooMany, Visits
from pkg.kube.client import Client

ALICE, BOB = (Person(name, cast("Client", name)) for name in ("alice", "bob"))


def viewer() -> Viewer:
    return Viewer(lambda: b"")


@pytest.mark.parametrize("kind", Stream)
def test_one_person_has_a_bounded_number_and_leaves_room_for_others(kind: Stream) -> None:
    visits = Visits(is_shared=False)
    opened = [visits.enter(ALICE, kind, viewer()) for _ in range(MAX_EACH[kind])]
    with pytest.raises(TooMany, match="close some tabs"):
        visits.enter(ALICE, kind, viewer())
    visits.enter(BOB, kind, viewer())
    visits.leave(opened[0])
    visits.leave(opened[0])  # twice counts once
    visits.enter(ALICE, kind, viewer())
    with pytest.raises(TooMany):
        visits.check(ALICE, kind)
    assert visits.count(kind) == MAX_EACH[kind] + 1


def test_where_everybody_is_one_person_nobody_is_bounded_alone() -> None:
    visits = Visits(is_shared=True)
    for _ in range(MAX_EACH[Stream.WORKFLOW] * 5):
        visits.enter(ALICE, Stream.WORKFLOW, viewer())


def test_all_together_follow_a_bounded_number_of_logs() -> None:
    visits = Visits(is_shared=True)
    for _ in range(MAX_LOGS):
        visits.enter(ALICE, Stream.LOG, viewer())
    with pytest.raises(TooMany, match=f"{MAX_LOGS} logs"):
        visits.check(BOB, Stream.LOG)
    visits.check(BOB, Stream.LIST)


def test_the_streams_of_one_person_end_and_those_of_others_do_not() -> None:
    visits = Visits(is_shared=False)
    of_alice, of_bob = viewer(), viewer()
    visits.enter(ALICE, Stream.LIST, of_alice)
    visits.enter(BOB, Stream.LIST, of_bob)
    visits.end(ALICE)
    assert (of_alice.is_closed, of_bob.is_closed) == (True, False)
    visits.close()
    assert of_bob.is_closed
