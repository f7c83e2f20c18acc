"""Reads the annotation `sim.workflow.sh/serve`: what a simulated pod listens on. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hack.cluster.annotations import ANNOTATIONS, SERVE

_RULE = next(annotation for annotation in ANNOTATIONS if annotation.name == SERVE)
_PATH = re.compile(r"(/[^=,]*?)=([1-5][0-9][0-9])")


@dataclass(frozen=True, slots=True)
class Listener:
    """One port. An HTTP port answers 200 but for the paths in `statuses`; a TCP port accepts and says nothing."""

    port: int
    http: bool
    statuses: dict[str, int] = field(default_factory=dict)

    def status(self, path: str) -> int:
        """The HTTP status for a request of `path`; its query does not count."""
        return self.statuses.get(path.partition("?")[0], 200)


def parse_serve(text: str) -> tuple[Listener, ...]:
    """The listeners that `http:8080/ready=503,tcp:9000` names. Raises ValueError saying what would be right."""
    if not re.search(_RULE.pattern, text):
        raise ValueError(f"annotation {SERVE} is {text!r}: it must be {_RULE.expected}")
    listeners = []
    for part in text.split(","):
        kind, _, rest = part.partition(":")
        digits, slash, paths = rest.partition("/")
        if not 1 <= int(digits) <= 65535:
            raise ValueError(f"annotation {SERVE} names port {digits}: it must be between 1 and 65535")
        statuses = {path: int(code) for path, code in _PATH.findall(slash + paths)}
        listeners.append(Listener(int(digits), kind == "http", statuses))
    if len({listener.port for listener in listeners}) != len(listeners):
        raise ValueError(f"annotation {SERVE} is {text!r}: each port can be named once")
    return tuple(listeners)
