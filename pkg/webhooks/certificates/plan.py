"""What to do next with the webhook's own certificate: a pure function of what is stored, who trusts it, and the time.

A *generation* is a new CA, and one serving certificate that it has signed. A generation is replaced like this:

1. The next generation is made and stored. Nobody uses it yet.
2. Its CA is added to the CA bundle of every webhook configuration, beside the CA of the present generation.
3. When all of them trust it, the time is noted. The grace period begins, in which every API server learns of it.
4. The next generation is taken into use. The previous CA is still trusted, because another replica may still use it.
5. Some time later the previous CA is dropped.

At every moment, each certificate that a replica may use is trusted. Every replica plans the same steps. The version of
the object that a step writes decides which replica does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Bundle = frozenset[str]
"""The CAs that one webhook of a configuration trusts, by fingerprint."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Times in seconds.

    renew_before: the next generation is made so long before the present one expires; grace: from the time that all
    configurations trust the next CA until it is used; retire: from then until the previous CA is dropped.
    """

    lifetime: float
    renew_before: float
    grace: float
    retire: float

    @classmethod
    def of(cls, lifetime: float) -> Policy:
        """The times that go with a lifetime: of 90 days the last 30, a minute, an hour."""
        return cls(lifetime, lifetime / 3, min(60.0, lifetime / 20), min(3600.0, lifetime / 6))


@dataclass(frozen=True, slots=True)
class Generation:
    """authority: the fingerprint of the CA; names: for which the certificate is valid; not_before, not_after: from when
    until when it is, in seconds since the epoch.
    """

    authority: str
    names: frozenset[str]
    not_after: float
    not_before: float = 0.0

    def is_valid(self, now: float) -> bool:
        """Whether it is valid at that time. It is not valid yet if it was made by a clock that was fast."""
        return self.not_before <= now < self.not_after


@dataclass(frozen=True, slots=True)
class State:
    """serving: the generation in use; next: the one to come; retired: CAs that are no more used but still trusted.

    next_trusted_at: since when all configurations trust the next CA; swapped_at: since when the present generation is
    in use; bundles: by name of a configuration, the CAs that each of its webhooks trusts. None means that it is not
    known; a configuration that does not exist, or has no webhooks, has none.
    """

    serving: Generation | None = None
    next: Generation | None = None
    retired: tuple[str, ...] = ()
    next_trusted_at: float | None = None
    swapped_at: float = 0.0
    bundles: Mapping[str, tuple[Bundle, ...] | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Issue:
    """Make a generation for these names; `is_first`: to be used at once, because there is none that works."""

    names: frozenset[str]
    is_first: bool


@dataclass(frozen=True, slots=True)
class NoteTrust:
    """Note that all configurations trust the next CA, or (`is_trusted` False) that some do no more."""

    is_trusted: bool


@dataclass(frozen=True, slots=True)
class Swap:
    """Use the next generation, and retire the CA of the present one."""


@dataclass(frozen=True, slots=True)
class Retire:
    """Drop the retired CAs."""


@dataclass(frozen=True, slots=True)
class Inject:
    """Let every webhook of a configuration trust exactly these CAs."""

    configuration: str
    authorities: Bundle


Write = Issue | NoteTrust | Swap | Retire
"""A change of what is stored."""


def plan(state: State, names: frozenset[str], now: float, policy: Policy) -> Write | tuple[Inject, ...]:
    """The next change of what is stored, or if it is as it should be, of the configurations that do not trust it.

    names: those that the certificate has to be valid for; now: in seconds since the epoch.
    """
    return _write(state, names, now, policy) or _injections(state)


def _write(state: State, names: frozenset[str], now: float, policy: Policy) -> Write | None:
    serving, coming = state.serving, state.next
    if serving is None or (not serving.is_valid(now) and not _is_usable(coming, names, now, policy)):
        return Issue(names | _names(serving), is_first=True)
    newest = coming or serving
    if not _is_usable(newest, names, now, policy):
        # The names of before stay: a replica with other flags may still want them.
        return Issue(names | newest.names, is_first=False)
    if coming is not None:
        is_trusted = all(_trusts(bundles, coming.authority) for bundles in state.bundles.values())
        if not serving.is_valid(now):
            return Swap()  # nothing is lost: nobody accepts the present certificate
        if is_trusted != (state.next_trusted_at is not None):
            return NoteTrust(is_trusted)
        if state.next_trusted_at is not None and now >= state.next_trusted_at + policy.grace:
            return Swap()
    if state.retired and now >= state.swapped_at + policy.retire:
        return Retire()
    return None


def _is_usable(generation: Generation | None, names: frozenset[str], now: float, policy: Policy) -> bool:
    if generation is None or not generation.is_valid(now):
        return False
    return names <= generation.names and now < generation.not_after - policy.renew_before


def _names(generation: Generation | None) -> frozenset[str]:
    return generation.names if generation is not None else frozenset()


def _trusts(bundles: tuple[Bundle, ...] | None, authority: str) -> bool:
    return bundles is not None and all(authority in bundle for bundle in bundles)


def _injections(state: State) -> tuple[Inject, ...]:
    present = [generation.authority for generation in (state.serving, state.next) if generation is not None]
    wanted = frozenset((*present, *state.retired))
    return tuple(
        Inject(name, wanted)
        for name, bundles in sorted(state.bundles.items())
        if bundles is not None and any(bundle != wanted for bundle in bundles)
    )
