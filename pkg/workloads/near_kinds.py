"""Which known kind a person may have meant by the name of a resource that is not served, or not known."""

from __future__ import annotations

import difflib
from functools import lru_cache

from pkg.apis.meta import GVR
from pkg.workloads.registry import registry

_MAX_NAME = 253


@lru_cache(maxsize=1024)
def near_kind(gvr: GVR) -> str:
    """What would be right in `spec.gvr`, such as `resource "jobs" of group "batch"`; empty if nothing is near.

    Any kind may be served, so this is a hint and no judgement. A known resource in another version gives no hint.
    """
    if gvr.group == "core":
        return 'group "", which is that of Pods and Services'
    known = {f"{resource}.{group}".rstrip("."): (group, resource) for group, resource, _ in registry().by_resource}
    asked = f"{gvr.resource}.{gvr.group}".rstrip(".")
    if asked in known:
        return ""
    near = difflib.get_close_matches(asked[:_MAX_NAME].lower(), known, n=1, cutoff=0.8)
    return 'resource "{1}" of group "{0}"'.format(*known[near[0]]) if near else ""
