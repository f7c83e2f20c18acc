"""Argo's `retryStrategy` as our `retry`."""

from __future__ import annotations

from typing import Final

from pkg.convert.durations import duration_of
from pkg.convert.result import Object
from pkg.convert.source import Source

_MAX: Final = 1000


def retry_of(source: Source) -> Object:
    """The retry of a flow."""
    found: Object = {"maxRetries": _MAX, "interval": "0s"}
    limit = source.get("limit")
    if limit is None:
        source.check(f"without limit Argo tries for ever; here at most {_MAX} times")
    elif limit.word().isdigit():
        found["maxRetries"] = min(_MAX, int(limit.text()))
        if int(limit.word()) > _MAX:
            limit.check(f"{_MAX} is the most that maxRetries may be")
    else:
        limit.lose(f"it is no number: maxRetries is {_MAX} until you write one")
    backoff = source.get("backoff")
    if backoff is not None:
        if (duration := backoff.get("duration")) is not None:
            found["interval"] = duration_of(duration, "10s")
        if (factor := backoff.get("factor")) is not None:
            found["factor"] = _factor(factor)
        else:
            found["factor"] = 1
        if (cap := backoff.get("cap")) is not None:
            found["maxInterval"] = duration_of(cap, "5m")
        backoff.lose_fields({"maxDuration": "the timeout of the Workflow bounds all attempts together"})
    policy = source.get("retryPolicy")
    if policy is not None:
        if policy.word() in ("Always", "OnFailure"):
            policy.plain()
        else:
            policy.lose("failures are retried by their reasons: Failed, JobDeleted, DeadlineExceeded, PendingTimeout")
    source.lose_fields(
        {
            "expression": "failures are retried by their reasons, not by an expression",
            "affinity": "write podAntiAffinity into the pod template",
        }
    )
    return found


def _factor(source: Source) -> int | str:
    value = source.word()
    if value.isdigit() and 1 <= int(value) <= 100:
        source.plain()
        return int(value)
    source.lose("a factor is a whole number of 1 to 100; 2 is written")
    return 2
