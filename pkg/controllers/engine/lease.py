"""What the Lease means for this process. Pure, so that a test table covers every case of two controllers.

The clocks of two machines are never compared: a Lease counts as expired once this process has watched it unchanged
for as long as the Lease itself says it lasts.
"""

from __future__ import annotations

import math

import msgspec


class LeaseOptions(msgspec.Struct, frozen=True):
    """Which Lease, the identity of this process, and the three times in seconds.

    Others may take the Lease `lease_duration` after they last saw it change; the holder stops acting
    `renew_deadline` after it began its last successful renewal; it tries every `retry_period`.
    """

    namespace: str
    name: str
    identity: str
    lease_duration: float = 6.0
    renew_deadline: float = 4.0
    retry_period: float = 1.0

    def faults(self) -> list[str]:
        """Everything wrong with these options, each naming its flag; empty if they can be used."""
        found = [
            f"{flag} must not be empty"
            for flag, value in (
                ("--leader-elect-resource-namespace", self.namespace),
                ("--leader-elect-resource-name", self.name),
                ("--leader-elect-identity", self.identity),
            )
            if not value
        ]
        if self.retry_period <= 0:
            found.append(f"--leader-elect-retry-period is {self.retry_period:g}s; it must be more than 0")
        if self.renew_deadline <= self.retry_period * 1.2:
            found.append(
                f"--leader-elect-renew-deadline is {self.renew_deadline:g}s; it must be more than 1.2 times "
                f"--leader-elect-retry-period ({self.retry_period:g}s), so that a renewal can be tried again"
            )
        if self.lease_duration <= self.renew_deadline:
            found.append(
                f"--leader-elect-lease-duration is {self.lease_duration:g}s; it must be more than "
                f"--leader-elect-renew-deadline ({self.renew_deadline:g}s), so that two never lead at once"
            )
        if self.lease_duration < 1:
            found.append(f"--leader-elect-lease-duration is {self.lease_duration:g}s; it must be at least 1s")
        return found


class LeaseRecord(msgspec.Struct, frozen=True, rename="camel"):
    """The spec of a Lease as it is stored; times in RFC 3339 with microseconds."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Observed(msgspec.Struct, frozen=True):
    """A record and when this process first saw it so, by its own steady clock."""

    record: LeaseRecord | None
    at: float


class Acquire(msgspec.Struct, frozen=True):
    """The Lease is not held: try to take it."""


class Renew(msgspec.Struct, frozen=True):
    """This process holds the Lease: renew it."""


class Wait(msgspec.Struct, frozen=True):
    """`holder` has the Lease for at least so many more seconds unless it gives it up."""

    seconds: float
    holder: str


Verdict = Acquire | Renew | Wait


def observe(observed: Observed | None, record: LeaseRecord | None, now: float) -> Observed:
    """The record as it is now; the time of the first observation stays as long as the record is the same."""
    return observed if observed is not None and observed.record == record else Observed(record, now)


def judge(observed: Observed, now: float, options: LeaseOptions) -> Verdict:
    """What to do about a Lease that was just read."""
    record = observed.record
    if record is None or not record.holder_identity:
        return Acquire()
    if record.holder_identity == options.identity:
        return Renew()
    duration = record.lease_duration_seconds or math.ceil(options.lease_duration)
    left = observed.at + duration - now
    return Wait(left, record.holder_identity) if left > 0 else Acquire()


def acquired(old: LeaseRecord | None, now: str, options: LeaseOptions) -> LeaseRecord:
    """The record that takes the Lease; a change of holder counts as a transition."""
    return LeaseRecord(
        holder_identity=options.identity,
        lease_duration_seconds=math.ceil(options.lease_duration),
        acquire_time=now,
        renew_time=now,
        lease_transitions=0 if old is None else (old.lease_transitions or 0) + 1,
    )


def renewed(old: LeaseRecord, now: str, options: LeaseOptions) -> LeaseRecord:
    """The record that keeps the Lease."""
    return LeaseRecord(
        holder_identity=options.identity,
        lease_duration_seconds=math.ceil(options.lease_duration),
        acquire_time=old.acquire_time or now,
        renew_time=now,
        lease_transitions=old.lease_transitions or 0,
    )


def released(old: LeaseRecord, now: str) -> LeaseRecord:
    """The record that releases the Lease, so that another process can take it at once."""
    return LeaseRecord(
        holder_identity="",
        lease_duration_seconds=1,
        acquire_time=now,
        renew_time=now,
        lease_transitions=old.lease_transitions or 0,
    )
