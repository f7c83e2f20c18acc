"""A Workflow as a tree, at the widths of terminals and piped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pkg.apis.flow.v1alpha1 import labels
from pkg.apis.flow.v1alpha1.types import Workflow
from pkg.apis.meta import GVR, Job, ObjectMeta
from pkg.cli.output import Screen
from pkg.cli.tree import heading, outputs, tree
from pkg.views.attempts import by_task
from pkg.views.workflow_view import view
from tests.manifests import decoded
from tests.unit.cli.conftest import NOW, Golden, nightly

JOBS = GVR("batch", "v1", "jobs")
BEGAN = datetime.fromtimestamp(NOW, UTC) - timedelta(minutes=9)


def job(index: int, attempt: int, *, minute: int, ended: int | None) -> tuple[GVR, Job]:
    """One attempt of the flow train. minute: when it began, after the first one; ended: the same for its end."""
    tags = {labels.FLOW: "train", labels.INDEX: str(index), labels.ATTEMPT: str(attempt)}
    created = BEGAN + timedelta(minutes=minute)
    suffix = f"-r{attempt}" if attempt else ""
    meta = ObjectMeta(name=f"nightly-train-{index}{suffix}", labels=tags, creation_timestamp=created)
    status = {} if ended is None else {"completionTime": (BEGAN + timedelta(minutes=ended)).isoformat()}
    return JOBS, Job(metadata=meta, status=status)


ATTEMPTS = by_task(
    [
        job(2, 1, minute=4, ended=8),
        job(2, 0, minute=0, ended=3),
        job(0, 0, minute=0, ended=2),
        job(1, 0, minute=0, ended=None),
    ]
)


@pytest.mark.parametrize(
    ("to", "wide"),
    [
        pytest.param(Screen(40), False, id="40"),
        pytest.param(Screen(80), False, id="80"),
        pytest.param(Screen(160), False, id="160"),
        pytest.param(Screen(160), True, id="160-wide"),
        pytest.param(Screen(), False, id="piped"),
        pytest.param(Screen(160, colours=True), False, id="160-colours"),
    ],
)
def test_tree(golden: Golden, to: Screen, wide: bool) -> None:
    found = view(nightly(), NOW, ATTEMPTS)
    golden([*heading(found, to), "", *tree(found, NOW, to, wide=wide), *outputs(found, to)])


def _restarted(attempt: int, *, succeeded: bool) -> tuple[GVR, Job]:
    at = (BEGAN + timedelta(minutes=attempt)).isoformat()
    tags = {labels.FLOW: "one", labels.ATTEMPT: str(attempt)}
    end = {"type": "Complete" if succeeded else "Failed", "status": "True", "lastTransitionTime": at}
    meta = ObjectMeta(name=f"w-one-r{attempt}", labels=tags, creation_timestamp=BEGAN)
    return JOBS, Job(metadata=meta, status={"conditions": [end]})


@pytest.mark.parametrize(
    ("phase", "ends", "shown"),
    [
        pytest.param("Running", (False, True), ["✖", "✔", "●"], id="the next attempt runs"),
        pytest.param("Waiting", (False, True), ["✖", "✔"], id="no attempt of this run has a job yet"),
        pytest.param("Running", (False, True, True), ["✖", "✔", "✖", "●"], id="an output of this run was missing"),
    ],
)
def test_an_attempt_before_a_restart_shows_how_its_job_ended(
    phase: str, ends: tuple[bool, ...], shown: list[str]
) -> None:
    jobs = [_restarted(number, succeeded=ok) for number, ok in enumerate(ends)]
    jobs += [_restarted(len(ends), succeeded=False)] * (phase == "Running")
    status = {
        "phase": "Running",
        "flows": [{"name": "one", "phase": phase, "attempts": 3}],
        "record": {"flows": [{"flows": "0", "firstAttempt": 2}]},
    }
    manifest = {"metadata": {"name": "w"}, "spec": {"flows": [{"name": "one"}]}, "status": status}
    found = view(decoded(manifest, Workflow), NOW, by_task(jobs))
    lines = tree(found, NOW, Screen())
    assert [line.split(" attempt")[0][-1] for line in lines if " attempt " in line] == shown


@pytest.mark.parametrize("columns", [30, 40, 60, 80])
@pytest.mark.parametrize("wide", [False, True], ids=["", "wide"])
def test_no_line_is_wider_than_the_terminal(columns: int, wide: bool) -> None:
    found = view(nightly(), NOW, ATTEMPTS)
    lines = [*heading(found, Screen(columns))[1:], *tree(found, NOW, Screen(columns), wide=wide)]
    assert max(map(len, lines)) <= columns


def test_all_replicas_are_listed_where_that_is_asked_for() -> None:
    lines = tree(view(nightly(), NOW), NOW, Screen(), unfold=True)
    assert sum("job nightly-sweep-" in line for line in lines) == 11
    assert sum(line.lstrip("│ ├└─").startswith(("✔ ", "● ", "✖ ", "· ")) for line in lines) == 4 - 1 + 200 + 7 - 2 + 1
