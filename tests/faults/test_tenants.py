"""The judge of hostile tenants finds each fault: a verdict that is always clean would prove nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hack.faults import hostile
from hack.faults.hostility import forged
from hack.faults.tenants import ALL, Attack, Run, attack, lease_gap, renewals, verdict_of

ALONE = Run(makespan=10.0, lease_gap=1.1, peak_mib=50.0, jobs=550)


@pytest.mark.parametrize(
    ("beside", "says"),
    [
        pytest.param(Run(15.0, 3.0, 200.0), "", id="within every bound"),
        pytest.param(Run(15.1, 1.1, 50.0), "1.51 x as long as alone", id="slower than the bound"),
        pytest.param(Run(10.0, 3.1, 50.0), "the Lease was not renewed for 3.1 s", id="a Lease that waited"),
        pytest.param(Run(10.0, 1.1, 201.0), "peak memory grew by 151 MiB", id="more memory than the bound"),
        pytest.param(
            Run(10.0, 1.1, 50.0, wrong=["a job was deleted"]), "a job was deleted", id="a fault that was seen"
        ),
        pytest.param(Run(10.0, 1.1, 50.0, twice=["a: 2 jobs"]), "a: 2 jobs", id="an attempt with two jobs"),
        pytest.param(Run(None, 1.1, 50.0), "did not all end", id="chains that do not end"),
    ],
)
def test_a_run_is_clean_only_within_every_bound(beside: Run, says: str) -> None:
    verdict = verdict_of("tenants", beside, ALONE, 100, 1.5)
    assert verdict.is_clean is (says == "")
    assert says in verdict.faults()


@pytest.mark.parametrize(
    ("renewed", "gap"),
    [
        pytest.param([9.0, 10.0, 11.0, 12.0], 1.0, id="renewed all the time"),
        pytest.param([9.0, 13.0, 14.0], 4.0, id="a gap in between"),
        pytest.param([5.0, 10.5, 12.5], 5.5, id="a gap that began before"),
        pytest.param([9.9, 10.9, 20.0], 9.1, id="a gap that ended after"),
        pytest.param([], 2.0, id="never renewed"),
    ],
)
def test_the_longest_time_without_a_renewal(renewed: list[float], gap: float) -> None:
    assert lease_gap(renewed, 10.0, 12.0) == pytest.approx(gap)


def test_renewals_are_read_from_the_audit_log(tmp_path: Path) -> None:
    def line(verb: str, agent: str, code: int, second: int) -> str:
        entry: dict[str, Any] = {
            "verb": verb,
            "userAgent": agent,
            "objectRef": {"resource": "leases"},
            "responseStatus": {"code": code},
            "stageTimestamp": f"2026-01-01T00:00:{second:02d}.000000Z",
        }
        return json.dumps(entry, separators=(",", ":"))

    log = tmp_path / "audit.log"
    ours, other = "workflow-controller/0.1.0", "kube-scheduler/v1"
    lines = [
        line("update", ours, 200, 1),
        line("get", ours, 200, 2),
        line("update", ours, 409, 3),
        line("update", other, 200, 4),
        line("update", ours, 200, 5),
    ]
    log.write_text("\n".join([*lines, line("update", ours, 200, 6)]))  # the last line is not whole yet
    first, second = renewals(log)
    assert second - first == 4.0


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_a_kind_makes_as_many_workflows_as_asked_for(kind: str) -> None:
    found = [json.loads(body) for gvr, body in hostile.KINDS[kind].make(3) if gvr.resource == "workflows"]
    assert len({item["metadata"]["name"] for item in found}) == len(found) == (1 if kind == "probes" else 3)
    assert max(len(body) for _, body in hostile.KINDS[kind].make(3)) < 1_400_000, "etcd takes no larger object"


def test_every_kind_is_part_of_the_attack_with_all() -> None:
    made = attack(ALL, 1)
    assert made.acting == ALL
    assert len(made.manifests) == sum(len(attack((kind,), 1).manifests) for kind in ALL)
    assert Attack().manifests == []


def test_forged_jobs_name_the_victim_as_their_owner() -> None:
    victim = {"metadata": {"name": "c000", "uid": "u"}, "spec": {"flows": [{"name": "t0"}]}}
    found = list(forged(victim, 0))
    made = [body["metadata"] for _, body in found]
    assert len({(gvr, body["metadata"]["name"]) for gvr, body in found}) == len(found)
    assert {meta["labels"]["flow.workflow.sh/workflow-uid"] for meta in made} == {"u"}
    assert any(owner["uid"] == "u" and owner["controller"] for meta in made for owner in meta["ownerReferences"])
