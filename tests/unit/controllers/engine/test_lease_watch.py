"""What a standby sees of the Lease: the lines of a watch, and nothing while there is none."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from pkg.controllers.engine.leadership import Lease
from pkg.controllers.engine.lease import LeaseOptions
from pkg.controllers.engine.lease_watch import LeaseWatch
from pkg.kube.errors import Forbidden, KubeError, Stopped, Transient

OPTIONS = LeaseOptions("system", "wc", "a", retry_period=0.001)


class Lines:
    """An open watch with these lines, and perhaps an error at its end."""

    def __init__(self, *events: tuple[str, str] | KubeError) -> None:
        self._events = events

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Iterator[bytes]:
        for event in self._events:
            if isinstance(event, KubeError):
                raise event
            yield json.dumps({"type": event[0], "object": {"spec": {"holderIdentity": event[1]}}}).encode()


class Client:
    """Answers each watch with the next of these; then it is stopped."""

    def __init__(self, *answers: Lines | KubeError) -> None:
        self._answers = list(answers)
        self.queries: list[dict[str, Any]] = []

    def watch(self, *_: Any, **query: Any) -> Any:
        self.queries.append(query)
        answer = self._answers.pop(0) if self._answers else Stopped("stopped")
        if isinstance(answer, KubeError):
            raise answer
        return answer


def seen(client: Client, options: LeaseOptions = OPTIONS) -> list[str | None]:
    """The holders that the elector is told of, None where it is not known, until the client is stopped."""
    found: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def on_change(lease: Lease | None) -> None:
        found.put(None if lease is None else lease["spec"]["holderIdentity"])

    watch = LeaseWatch(client, options)
    watch.start(on_change)
    watch.join(5)
    watch.stop()
    return [found.get_nowait() for _ in range(found.qsize())]


@pytest.mark.parametrize(
    ("answers", "holders"),
    [
        pytest.param([Lines(("ADDED", "a"), ("MODIFIED", "b"))], ["a", "b", None], id="each change, until it ends"),
        pytest.param([Lines(("ADDED", "a"), ("DELETED", "a"))], ["a", None, None], id="a Lease that is deleted"),
        pytest.param([Lines(("BOOKMARK", ""), ("ADDED", "a"))], ["a", None], id="bookmarks say nothing"),
        pytest.param([Lines(("ADDED", "a"), ("ERROR", "x"))], ["a", None], id="an error ends it"),
        pytest.param(
            [Lines(("ADDED", "a"), Transient("cut")), Lines(("ADDED", "b"))],
            ["a", None, "b", None],
            id="a cut watch is opened again",
        ),
        pytest.param([Transient("down"), Lines(("ADDED", "a"))], [None, "a", None], id="one that could not be opened"),
    ],
)
def test_what_is_seen(answers: list[Lines | KubeError], holders: list[str | None]) -> None:
    assert seen(Client(*answers)) == holders


def test_it_watches_one_lease_from_its_present_state_on() -> None:
    client = Client(Lines())
    seen(client)
    assert client.queries[0]["field_selector"] == "metadata.name=wc"
    assert client.queries[0]["resource_version"] == ""
    assert client.queries[0]["read_timeout"] == 18


def test_a_missing_permission_is_named() -> None:
    with capture_logs() as logs:
        watch = LeaseWatch(Client(Forbidden("no", status=403)), OPTIONS)
        refused: queue.SimpleQueue[Lease | None] = queue.SimpleQueue()
        watch.start(refused.put)
        assert refused.get(timeout=5) is None
        watch.stop()
    (line,) = logs
    assert line["permission"] == "watch leases in namespace system"
    assert line["advice"] == "installer/controller/20-controller-role.yaml has it"
