"""Which workflows a deletion of many means."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1.phases import WorkflowPhase
from pkg.views.briefs import Brief
from pkg.views.selections import Selection, age, parse_age, parse_phases
from tests.manifests import decoded

P = WorkflowPhase
NOW = 1_800_000_600.0  # 2027-01-15T08:10:00Z


def brief(phase: str, created: str = "07:00", ended: str = "", **more: Any) -> Brief:
    meta = {"name": "w", "namespace": "ns", "uid": "u", "creationTimestamp": f"2027-01-15T{created}:00Z"}
    status = {"phase": phase} if phase else {}
    if ended:
        status["completionTime"] = f"2027-01-15T{ended}:00.000001Z"
    return decoded({"metadata": {**meta, **more.pop("metadata", {})}, "status": status, **more}, Brief)


DONE = brief("Succeeded", ended="08:00")
DUE = brief("Failed", ended="08:00", spec={"restart": {"at": "new"}})


@pytest.mark.parametrize(
    ("selection", "of", "is_meant"),
    [
        pytest.param(Selection(), DONE, True, id="one that has ended"),
        pytest.param(Selection(), brief("Running"), False, id="none that runs"),
        pytest.param(Selection(), brief(""), False, id="none that no controller has seen"),
        pytest.param(Selection(), DUE, False, id="none that is about to be retried"),
        pytest.param(Selection(every=True), brief("Running"), True, id="--all: also one that runs"),
        pytest.param(Selection(frozenset({P.FAILED})), DONE, False, id="another phase"),
        pytest.param(Selection(frozenset({P.RUNNING})), brief("Running"), True, id="a phase by name"),
        pytest.param(Selection(older=599), DONE, True, id="it ended longer ago"),
        pytest.param(Selection(older=601), DONE, False, id="it ended later than that, however old it is"),
        pytest.param(
            Selection(frozenset({P.RUNNING}), older=4199),
            brief("Running"),
            True,
            id="one that runs: since its creation",
        ),
        pytest.param(
            Selection(frozenset({P.RUNNING}), older=4201), brief("Running"), False, id="one that runs, and is younger"
        ),
        pytest.param(
            Selection(every=True), brief("Failed", metadata={"deletionTimestamp": "x"}), False, id="none under deletion"
        ),
    ],
)
def test_selection(selection: Selection, of: Brief, is_meant: bool) -> None:
    assert selection.has(of, NOW) is is_meant


def test_age() -> None:
    assert (round(age(DONE, NOW)), round(age(brief("Running"), NOW))) == (600, 4200)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7d", 604_800), ("12h", 43_200), ("1d12h", 129_600), ("90s", 90), ("0d", 0), ("0s", 0)],
)
def test_ages(text: str, seconds: float) -> None:
    assert parse_age(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "7days", "-1d", "1h2d", "7d "])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(ValueError, match="is no age; write it like 7d, 12h or 1d12h30m"):
        parse_age(text)


def test_phases() -> None:
    assert parse_phases(["succeeded, Failed", "RUNNING"]) == {P.SUCCEEDED, P.FAILED, P.RUNNING}
    with pytest.raises(ValueError, match='"done" is no phase; there are Pending, Running, '):
        parse_phases(["done"])
