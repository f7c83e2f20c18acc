"""The API server's audit log: who called what, when, and how it ended; the judge of what a controller wrote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hack.cluster.audit_log import entries, size
from pkg.apis.meta import seconds

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Call:
    """One finished request. `at` is when the server received it, in epoch seconds; `code` its HTTP status."""

    at: float
    user: str
    agent: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int

    @property
    def is_write(self) -> bool:
        return self.verb in WRITES

    @property
    def is_work(self) -> bool:
        """Whether it changes workflows or jobs: neither the Lease nor an Event."""
        return self.is_write and self.resource not in {"leases", "events"}


class Audit:
    """The log from a moment on: the one at which it was made."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = size(file)

    def calls(self, namespace: str = "", *, user: str = "") -> list[Call]:
        """Requests of controllers (every user's, or one's; in one namespace, or in all), oldest first."""
        return sorted(
            (
                call
                for call in self._read()
                if call.agent.startswith("workflow-controller/")
                and namespace in ("", call.namespace)
                and user in ("", call.user)
            ),
            key=lambda call: call.at,
        )

    def work(self, namespace: str = "", *, user: str = "") -> list[Call]:
        """Those of them that change workflows or jobs, refused ones included."""
        return [call for call in self.calls(namespace, user=user) if call.is_work]

    def refused(self, *users: str) -> list[Call]:
        """Requests of these users, from whatever program, for which they lack a right."""
        return [call for call in self._read() if call.code == 403 and call.user in users]

    def creations(self, namespace: str, resource: str = "jobs") -> list[Call]:
        """Objects of that resource that controllers made."""
        return [
            call for call in self.calls(namespace) if (call.verb, call.resource, call.code) == ("create", resource, 201)
        ]

    def _read(self) -> Iterator[Call]:
        for found in entries(self._file, offset=self._offset):
            about = found.get("objectRef", {})
            yield Call(
                at=seconds(found["requestReceivedTimestamp"]),
                user=found["user"].get("username", ""),
                agent=found.get("userAgent", ""),
                verb=found["verb"],
                group=about.get("apiGroup", ""),
                resource=about.get("resource", ""),
                subresource=about.get("subresource", ""),
                namespace=about.get("namespace", ""),
                name=about.get("name", ""),
                code=found.get("responseStatus", {}).get("code", 0),
            )
