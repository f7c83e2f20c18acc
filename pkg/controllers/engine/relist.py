"""What an error of a LIST or WATCH means for the reflector. Pure."""

from __future__ import annotations

from pkg.kube.errors import Gone, KubeError, NotFound, Refused, Throttled, may_mean_not_served


def is_initializing(error: KubeError) -> bool:
    """Whether the server is still setting up the storage of a kind, as it does for a moment after a CRD is created."""
    return isinstance(error, Throttled) and "(re)initializing" in error.message


def relist_reason(error: KubeError) -> str | None:
    """Why a watch that ended with `error` cannot be resumed, so that a new list is needed; None if it can be."""
    match error:
        case Gone():
            return "gone"
        case NotFound():
            return "absent"
        case _ if may_mean_not_served(error):
            return "absent"
        case Refused():
            return "refused"
        case _ if "Too large resource version" in error.message:
            return "refused"
        case _:
            return None
