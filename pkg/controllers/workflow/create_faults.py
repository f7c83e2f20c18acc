"""Why the API server did not create a job, as reason and message of the flow that waits. Pure."""

from __future__ import annotations

import re
from typing import Final

from pkg.apis.flow.v1alpha1.reasons import Reasons
from pkg.controllers.workflow.planner.snapshot import CreateFault
from pkg.kube.errors import Denied, Forbidden, KubeError, NamespaceTerminating, Transient, Unauthorized

MAX_WORDS: Final = 360
"""Characters of the server's words; the advice follows them."""
RENEW_SECONDS: Final = 300.0
"""A message whose numbers alone have changed, such as what is used of a quota, is written again after this time."""
_NUMBER: Final = re.compile(r"\d+")

_ADVICE: Final = {
    Reasons.QUOTA_EXCEEDED: "it is created once the quota has room: raise it, or delete what is not needed",
    Reasons.FORBIDDEN: "allow it to the controller's ServiceAccount (installer/controller/21-job-kinds.yaml says how)",
    Reasons.ADMISSION_DENIED: "correct the template, or the policy that denies it",
    Reasons.NAMESPACE_TERMINATING: "nothing can be created in this namespace any more",
    Reasons.CREATE_FAILED: "it is tried again, at most a minute apart",
}


def explain(error: KubeError) -> tuple[str, str]:
    """Reason and message of a creation that failed and may work later."""
    reason = reason_of(error)
    return reason, f"{str(error)[:MAX_WORDS]}; {_ADVICE[reason]}"


def may_have_worked(error: KubeError) -> bool:
    """Whether the API server may have carried out a call that failed so: it has not said that it refuses it."""
    return isinstance(error, Transient) and not isinstance(error, Denied | Unauthorized)


def reason_of(error: KubeError) -> str:
    """The reason of a creation that failed and may work later."""
    if isinstance(error, NamespaceTerminating):
        return Reasons.NAMESPACE_TERMINATING
    if isinstance(error, Denied):
        return Reasons.ADMISSION_DENIED
    if isinstance(error, Forbidden):
        if "exceeded quota" in error.message or "failed quota" in error.message:
            return Reasons.QUOTA_EXCEEDED
        # The authorizer names the user; an admission plugin (LimitRange, PodSecurity) names what it does not like.
        return Reasons.FORBIDDEN if 'User "' in error.message else Reasons.ADMISSION_DENIED
    return Reasons.CREATE_FAILED


def steady(before: CreateFault | None, reason: str, message: str, now: float) -> tuple[str, float]:
    """The message to show, and since when (seconds since the epoch): the one before if only numbers differ from it.

    Otherwise each try would write status, because a quota says how much of it is used at the moment.
    """
    if (
        before is not None
        and before.reason == reason
        and now - before.said_at < RENEW_SECONDS
        and _NUMBER.sub("#", before.message) == _NUMBER.sub("#", message)
    ):
        return before.message, before.said_at
    return message, now
