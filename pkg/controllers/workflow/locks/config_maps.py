"""Reads the ConfigMaps of semaphores, one by one by their names.

A watch would need the right to list ConfigMaps: RBAC can restrict it to names, but only to names that are known when
the role is written. A GET needs `get` alone. It is made off the workers, and only while somebody waits.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.apis.meta import GVR, ObjectMeta
from pkg.controllers.workflow.create_faults import may_have_worked
from pkg.controllers.workflow.planner.locks.calls import Failed, Limits
from pkg.controllers.workflow.planner.locks.holders import LockAnswer
from pkg.kube.client import Client
from pkg.kube.errors import Forbidden, KubeError, NotFound, Stopped

CONFIG_MAPS: Final = GVR("", "v1", "configmaps")
_MAX_WORDS: Final = 300


class ConfigMap(msgspec.Struct, frozen=True):
    """A ConfigMap without its binary data."""

    metadata: ObjectMeta
    data: dict[str, str] | None = None


def read_limits(client: Client, namespace: str, name: str) -> Limits | Failed:
    """The data of a ConfigMap. Raises Stopped when the client is shutting down."""
    try:
        return Limits(client.get(CONFIG_MAPS, namespace, name, ConfigMap).data or {})
    except NotFound:
        return Limits(None)
    except Stopped:
        raise
    except Forbidden as error:
        text = f"the controller may not read ConfigMap {name}: {error.message[:_MAX_WORDS]}"
        return Failed(LockAnswer(Reasons.LOCK_INVALID, text), may_have_worked=False)
    except KubeError as error:
        text = f"ConfigMap {name} cannot be read: {error.message[:_MAX_WORDS]}"
        return Failed(LockAnswer(Reasons.LOCK_INVALID, text), may_have_worked=may_have_worked(error))
