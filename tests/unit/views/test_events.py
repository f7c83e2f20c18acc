"""When an Event was last seen, how often, and what it is about."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.views.durations import seconds_of
from pkg.views.events import Event, _about, line_of
from tests.manifests import decoded

T1, T2 = "2027-01-15T08:00:00Z", "2027-01-15T08:00:09.000000Z"


def event(name: str = "", uid: str = "", **fields: Any) -> Event:
    about = {"kind": "Pod", "name": name, "uid": uid}
    return decoded({"metadata": {"name": "e", "creationTimestamp": T1}, "involvedObject": about, **fields}, Event)


@pytest.mark.parametrize(
    ("fields", "at", "count"),
    [
        pytest.param({"lastTimestamp": T2, "count": 4}, T2, 4, id="as the kubelet writes it"),
        pytest.param({"eventTime": T2, "lastTimestamp": None, "count": None}, T2, 1, id="as new recorders write it"),
        pytest.param({"eventTime": T1, "series": {"count": 7, "lastObservedTime": T2}}, T2, 7, id="a series"),
        pytest.param({}, T1, 1, id="without any time"),
    ],
)
def test_line(fields: dict[str, Any], at: str, count: int) -> None:
    found = line_of(event("p", **fields))
    assert (found.at, found.count, found.where) == (seconds_of(at), count, "pod/p")


def test_events_of_jobs_and_of_what_is_named_after_them() -> None:
    events = [event("w", "wu"), event("w-train"), event("w-train-x7k2p"), event("w-training-a"), event("other")]
    found = [one.where for one in _about(events, {"wu"}, {"w-train"})]
    assert found == ["pod/w", "pod/w-train", "pod/w-train-x7k2p"]
