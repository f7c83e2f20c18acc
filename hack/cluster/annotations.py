"""The annotations that control a simulated pod, and the values that each allows.

The stages, which refuse a pod with a wrong value, and the pod servers read the same table.
docs/cluster.md, section "Pod behaviour", is the description for users.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "sim.workflow.sh/"
RUN_FOR = PREFIX + "run-for"
EXIT_CODE = PREFIX + "exit-code"
FAIL_UNTIL_ATTEMPT = PREFIX + "fail-until-attempt"
START_AFTER = PREFIX + "start-after"
READY_AFTER = PREFIX + "ready-after"
SERVE = PREFIX + "serve"
TERMINATION_MESSAGE = PREFIX + "termination-message"
ATTEMPT_LABEL = "flow.workflow.sh/attempt"

_DURATION = r"([0-9]+([.][0-9]+)?(ms|s|m|h))+"
_PORT = r"[0-9]{1,5}"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation: its name, the pattern of its value (for RE2 and Python), and the pattern in words."""

    name: str
    pattern: str
    expected: str


ANNOTATIONS = (
    Annotation(RUN_FOR, f"^(forever|0|{_DURATION})$", "a duration such as 2s or 1m30s, or forever"),
    Annotation(EXIT_CODE, r"^([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5])$", "a number from 0 to 255"),
    Annotation(FAIL_UNTIL_ATTEMPT, r"^[0-9]{1,6}$", "the number of the first attempt that succeeds, such as 2"),
    Annotation(START_AFTER, f"^(0|{_DURATION})$", "a duration such as 1s"),
    Annotation(READY_AFTER, f"^(0|{_DURATION})$", "a duration such as 1s"),
    Annotation(
        SERVE,
        rf"^(http:{_PORT}(/[^=,]*=[1-5][0-9][0-9])*|tcp:{_PORT})(,(http:{_PORT}(/[^=,]*=[1-5][0-9][0-9])*|tcp:{_PORT}))*$",
        "a list such as http:8080,tcp:9000 or http:8080/ready=503",
    ),
    Annotation(TERMINATION_MESSAGE, r"^[ -~]{1,1000}$", "a text of at most 1,000 printable characters"),
)
