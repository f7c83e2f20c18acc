"""Fits a status into the room that the rest of the object leaves, by leaving out what recovery does not need.

The order is: messages of replicas, the list of replicas, the ends of long messages, messages of flows, times of flows.
What the controller needs after a restart is never left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.types import FlowStatus, WorkflowStatus

# Bytes of a message that is cut short.
SHORT_MESSAGE: Final = 48
# Every status of a workflow with at most 500 flows fits into this many bytes.
ALWAYS_FITS: Final = 1_000_000

_replace = msgspec.structs.replace


def _without_replica_messages(flow: FlowStatus) -> FlowStatus:
    return _replace(flow, replicas=tuple(_replace(replica, message="") for replica in flow.replicas))


# What a user reads in the Event, and how it is left out of one flow; in this order.
_STEPS: Final[tuple[tuple[str, Callable[[FlowStatus], FlowStatus]], ...]] = (
    ("messages of replicas", _without_replica_messages),
    ("the list of replicas", lambda flow: _replace(flow, replicas=())),
    ("the ends of messages", lambda flow: _replace(flow, message=flow.message[:SHORT_MESSAGE])),
    ("messages of flows", lambda flow: _replace(flow, message="")),
    ("times of flows", lambda flow: _replace(flow, start_time="", completion_time="", next_attempt_time="")),
)


def fit(status: WorkflowStatus, room: int) -> tuple[WorkflowStatus, str]:
    """The status in at most `room` bytes of JSON if possible, and what was left out for that; empty for nothing."""
    left_out: list[str] = []
    for name, shorten in _STEPS:
        if len(msgspec.json.encode(status)) <= room:
            break
        status = _replace(status, flows=tuple(map(shorten, status.flows)))
        left_out.append(name)
    return status, ", ".join(left_out)
