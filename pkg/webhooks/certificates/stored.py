"""The certificates as the Secret holds them, and what each step of the plan makes of them.

| key | content |
|---|---|
| `tls.crt`, `tls.key` | the certificate in use, and its key |
| `ca.crt` | every CA that has to be trusted |
| `next.crt`, `next.key` | the certificate to come, and its key |
| `next-trusted-at`, `swapped-at` | times (RFC 3339) |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pkg.apis import meta
from pkg.webhooks.certificates.issue import Issued, Unreadable, authorities, read
from pkg.webhooks.certificates.plan import Bundle, Generation, Issue, NoteTrust, Retire, State, Swap, Write

KEYS: Final = frozenset(
    ("tls.crt", "tls.key", "ca.crt", "next.crt", "next.key", "next-trusted-at", "swapped-at"),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """serving, next: with what they are; trusted: PEM of every CA by fingerprint, the one in use first."""

    serving: tuple[Issued, Generation] | None = None
    next: tuple[Issued, Generation] | None = None
    trusted: Mapping[str, bytes] | None = None
    next_trusted_at: float | None = None
    swapped_at: float = 0.0

    @property
    def retired(self) -> tuple[str, ...]:
        """CAs that are trusted and no more used."""
        used = {pair[1].authority for pair in (self.serving, self.next) if pair is not None}
        return tuple(each for each in self.trusted or {} if each not in used)

    def bundle(self, wanted: Bundle) -> bytes:
        """PEM of these CAs."""
        return b"".join(pem for authority, pem in (self.trusted or {}).items() if authority in wanted)

    def state(self, bundles: Mapping[str, tuple[Bundle, ...] | None]) -> State:
        """What the plan needs to know."""
        return State(
            self.serving[1] if self.serving else None,
            self.next[1] if self.next else None,
            self.retired,
            self.next_trusted_at,
            self.swapped_at,
            bundles,
        )


def decode(data: Mapping[str, bytes]) -> Stored:
    """What the Secret holds. A certificate that cannot be read counts as absent: it is made anew."""
    trusted = authorities(data.get("ca.crt", b""))
    serving = _find(data.get("tls.crt"), data.get("tls.key"), trusted)
    coming = _find(data.get("next.crt"), data.get("next.key"), trusted)
    if serving is None:
        return Stored(trusted=trusted)
    trusted = {serving[1].authority: trusted[serving[1].authority], **trusted}
    noted = _time(data.get("next-trusted-at"))
    return Stored(serving, coming, trusted, noted if coming else None, _time(data.get("swapped-at")) or 0.0)


def encode(stored: Stored) -> dict[str, bytes]:
    """The reverse of `decode`."""
    data = {"ca.crt": b"".join((stored.trusted or {}).values())}
    for prefix, pair in (("tls", stored.serving), ("next", stored.next)):
        if pair is not None:
            data |= {f"{prefix}.crt": pair[0].certificate, f"{prefix}.key": pair[0].key}
    if stored.next_trusted_at is not None:
        data["next-trusted-at"] = meta.timestamp(stored.next_trusted_at).encode()
    if stored.swapped_at:
        data["swapped-at"] = meta.timestamp(stored.swapped_at).encode()
    return data


def changed(stored: Stored, write: Write, made: Issued | None, now: float) -> Stored:
    """What is stored after a step of the plan; `made` is the generation that an Issue asks for."""
    match write:
        case Issue(is_first=is_first) if made is not None:
            pair = (made, read(made))
            kept = dict(stored.trusted or {})
            if stored.next is not None:  # nobody has used it
                kept.pop(stored.next[1].authority, None)
            new = {pair[1].authority: made.authority}
            if is_first:
                return Stored(pair, None, {**new, **kept}, None, now)
            return replace(stored, next=pair, trusted={**kept, **new}, next_trusted_at=None)
        case NoteTrust(is_trusted=is_trusted):
            return replace(stored, next_trusted_at=now if is_trusted else None)
        case Swap() if stored.next is not None:
            first = stored.next[1].authority
            trusted = {first: (stored.trusted or {})[first], **(stored.trusted or {})}
            return Stored(stored.next, None, trusted, None, now)
        case Retire():
            retired = set(stored.retired)
            kept = {authority: pem for authority, pem in (stored.trusted or {}).items() if authority not in retired}
            return replace(stored, trusted=kept)
    raise ValueError(f"{write} does not fit what is stored")


def _find(
    certificate: bytes | None, key: bytes | None, trusted: Mapping[str, bytes]
) -> tuple[Issued, Generation] | None:
    """The certificate with the CA that has signed it; None if there is no such CA, or it cannot be read."""
    if not certificate or not key:
        return None
    for pem in trusted.values():
        issued = Issued(pem, certificate, key)
        try:
            return issued, read(issued)
        except Unreadable:
            continue
    return None


def _time(text: bytes | None) -> float | None:
    try:
        return meta.seconds(text.decode()) if text else None
    except ValueError:
        return None
