"""Reading any status and preparing any spec never raise."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.workloads import (
    JobState,
    default_restart_policy,
    inject,
    limit,
    place_plugins,
    place_queue,
    place_scheduler,
    pod_selector,
    pod_templates,
    read,
    registry,
    strip_ttl,
)
from tests.unit.workloads.builders import job

ROWS = [*registry().kinds, registry().generic]
_TEXT = (
    "conditions type status reason message observedGeneration phase state jobStatus jobDeploymentStatus "
    "applicationState replicatedJobsStatus jobsStatus name ready active succeeded replicas availableReplicas "
    "containerStatuses terminated True False Failed Complete Succeeded Running Suspended template spec metadata labels "
    "containers env tasks pytorchReplicaSpecs replicatedJobs runPolicy driver executor selector matchLabels flows"
)
WORDS = _TEXT.split()
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(WORDS) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)
conditions = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("type", "status", "reason", "message"), json_values))
    | json_values,
    max_size=4,
)
objects = st.dictionaries(st.sampled_from(WORDS), json_values, max_size=5)
statuses = st.builds(lambda status, entries: {**status, "conditions": entries}, objects, conditions) | objects


@settings(max_examples=60, deadline=None)
@given(status=statuses, deleting=st.booleans())
def test_every_kind_reads_any_status(status: dict[str, Any], deleting: bool) -> None:
    seen = job(status, deleting=deleting)
    for row in ROWS:
        reading = read(row, seen)
        assert reading.state in JobState
        assert not (reading.deleting and (reading.ready or reading.is_final))
        assert not reading.ready or reading.state is JobState.RUNNING
        pod_selector(row, seen)


@settings(max_examples=60, deadline=None)
@given(spec=objects)
def test_every_kind_prepares_any_spec(spec: dict[str, Any]) -> None:
    for row in ROWS:
        body: dict[str, Any] = {"metadata": {}, "spec": copy.deepcopy(spec)}
        assert 16 <= limit(row, body).max_length <= 63
        strip_ttl(row, body)
        place_scheduler(row, body, "volcano")
        place_queue(row, body, "team-a", scheduler="volcano")
        place_plugins(row, body, {"svc": ()})
        default_restart_policy(row, body)
        inject(row, body, labels={"a": "b"}, env={"A": "1"})
        for template in pod_templates(row, body):
            labels = template["metadata"].get("labels") if isinstance(template.get("metadata"), dict) else None
            assert not isinstance(labels, dict) or labels["a"] == "b"
