"""The statuses of a failed job's pods, and the line that its user reads."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pkg.workloads.pod_failure import MAX_WORDS, EndedPod, failure_words


def ended(code: int, at: str = "10:00:00", **more: Any) -> dict[str, Any]:
    """The state of a container that ended."""
    return {"terminated": {"exitCode": code, "reason": "Error", "finishedAt": f"2026-01-01T{at}Z", **more}}


def waits(reason: str, message: str = "") -> dict[str, Any]:
    """The state of a container that does not run."""
    return {"waiting": {"reason": reason, "message": message}}


def box(name: str, state: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The status of one container."""
    return {"name": name, "state": state, **more}


def pod(
    *containers: dict[str, Any], name: str = "p", phase: str = "Failed", spec: Any = None, **status: Any
) -> EndedPod:
    """A pod with these container statuses; further keywords are fields of its status."""
    raw = {
        "metadata": {"name": name, "namespace": "team"},
        "spec": spec or {},
        "status": {"phase": phase, "containerStatuses": list(containers), **status},
    }
    return msgspec.convert(raw, EndedPod)


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        pytest.param([pod(box("main", ended(3)))], "pod p, container main: exit code 3", id="an exit code"),
        pytest.param(
            [pod(box("main", ended(1, message="Traceback\n  line 7\nValueError: no rows\n\n")))],
            'pod p, container main: exit code 1: "ValueError: no rows"',
            id="the last line of the termination message",
        ),
        pytest.param(
            [pod(box("main", ended(137, reason="OOMKilled")))],
            "pod p, container main: exit code 137 (SIGKILL), OOMKilled",
            id="killed for its memory",
        ),
        pytest.param(
            [pod(box("main", ended(139)))], "pod p, container main: exit code 139 (SIGSEGV)", id="the name of a signal"
        ),
        pytest.param(
            [pod(box("main", ended(0, signal=15)))],
            "pod p, container main: exit code 0 (SIGTERM)",
            id="a signal that the runtime reports",
        ),
        pytest.param([pod(box("main", ended(255)))], "pod p, container main: exit code 255", id="255 is no signal"),
        pytest.param(
            [pod(box("main", ended(128, reason="StartError", message="exec: no such file")))],
            'pod p, container main: exit code 128, StartError: "exec: no such file"',
            id="a command that does not exist",
        ),
        pytest.param(
            [pod(initContainerStatuses=[box("setup", ended(2)), box("later", waits("PodInitializing"))])],
            "pod p, init container setup: exit code 2",
            id="an init container",
        ),
        pytest.param(
            [
                pod(
                    box("main", ended(4, "10:00:00")),
                    initContainerStatuses=[box("proxy", ended(143, "09:00:00"))],
                    spec={"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]},
                )
            ],
            "pod p, container main: exit code 4",
            id="a sidecar that ended with another code comes after the container",
        ),
        pytest.param(
            [
                pod(
                    box("main", ended(0)),
                    initContainerStatuses=[box("proxy", ended(1))],
                    spec={"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]},
                )
            ],
            "pod p, sidecar proxy: exit code 1",
            id="a sidecar is named if nothing else failed",
        ),
        pytest.param(
            [pod(box("main", ended(4)), initContainerStatuses=[box("proxy", ended(143))])],
            "pod p, container main: exit code 4",
            id="a sidecar of a pod whose spec is not known: the containers ran, so it is no init container",
        ),
        pytest.param(
            [pod(box("main", ended(0)), initContainerStatuses=[box("proxy", ended(1))])],
            "pod p, sidecar proxy: exit code 1",
            id="such a sidecar if nothing else failed",
        ),
        pytest.param(
            [pod(box("other", ended(143)), box("killed", ended(137)), box("main", ended(1)))],
            "pod p, container main: exit code 1",
            id="a container that was stopped comes after one that failed in the same second",
        ),
        pytest.param(
            [pod(box("other", ended(1)), box("main", ended(137, reason="OOMKilled")))],
            "pod p, container other: exit code 1",
            id="killed for its memory is not stopped",
        ),
        pytest.param(
            [pod(box("a", ended(0)), box("b", ended(1, "10:00:09")), box("c", ended(2, "10:00:01")))],
            "pod p, container c: exit code 2",
            id="of several containers the first that failed",
        ),
        pytest.param(
            [pod(reason="Evicted", message="The node was low on resource: memory.")],
            "pod p: Evicted: The node was low on resource: memory.",
            id="evicted",
        ),
        pytest.param(
            [pod(box("main", ended(137)), reason="Evicted", message="The node was low.")],
            "pod p: Evicted: The node was low.; container main: exit code 137 (SIGKILL)",
            id="evicted, with the container that was killed for it",
        ),
        pytest.param(
            [
                pod(
                    reason="DeadlineExceeded",
                    message="Pod was active on the node longer than the specified deadline",
                )
            ],
            "pod p: DeadlineExceeded: Pod was active on the node longer than the specified deadline",
            id="its own deadline",
        ),
        pytest.param(
            [
                pod(
                    box("main", ended(143)),
                    conditions=[
                        {
                            "type": "DisruptionTarget",
                            "status": "True",
                            "reason": "PreemptionByScheduler",
                            "message": "preempted by a pod of higher priority",
                        }
                    ],
                )
            ],
            "pod p: PreemptionByScheduler: preempted by a pod of higher priority; "
            "container main: exit code 143 (SIGTERM)",
            id="preempted",
        ),
        pytest.param(
            [pod(box("main", waits("ImagePullBackOff", 'Back-off pulling image "nope"')), phase="Pending")],
            'pod p: container main does not start: ImagePullBackOff: Back-off pulling image "nope"',
            id="an image that cannot be pulled",
        ),
        pytest.param(
            [pod(box("main", waits("CreateContainerConfigError", 'secret "s" not found')), phase="Pending")],
            'pod p: container main does not start: CreateContainerConfigError: secret "s" not found',
            id="a secret that does not exist",
        ),
        pytest.param(
            [
                pod(
                    phase="Pending",
                    conditions=[
                        {
                            "type": "PodScheduled",
                            "status": "False",
                            "reason": "Unschedulable",
                            "message": "0/3 nodes are available",
                        }
                    ],
                )
            ],
            "pod p: it has no node: Unschedulable: 0/3 nodes are available",
            id="no node",
        ),
        pytest.param(
            [pod(box("main", waits("CrashLoopBackOff"), lastState=ended(7), restartCount=5), phase="Running")],
            "pod p, container main: exit code 7, after 5 restarts",
            id="a container that crashes again and again",
        ),
        pytest.param([pod()], "pod p: it failed, and no container says why", id="a pod that says nothing"),
        pytest.param(
            [
                pod(box("main", ended(1, "10:00:05")), name="late"),
                pod(box("main", ended(2, "10:00:01")), name="first"),
                pod(box("main", ended(1, "10:00:03")), name="middle"),
                pod(box("main", ended(1, "10:00:04")), name="other"),
                pod(box("main", ended(0)), name="fine", phase="Succeeded"),
            ],
            "pod first, container main: exit code 2; and 3 more pods",
            id="of several pods the first that failed, and how many more",
        ),
        pytest.param(
            [pod(box("main", ended(1)), name="a"), pod(box("main", ended(1, "11:00:00")), name="b")],
            "pod a, container main: exit code 1; and 1 more pod",
            id="one more pod",
        ),
        pytest.param([pod(box("main", {}), phase="Running")], "", id="a pod that runs shows no failure"),
        pytest.param([pod(box("main", ended(0)), phase="Succeeded")], "", id="a pod that succeeded shows none"),
        pytest.param([pod(box("main", waits("ContainerCreating")), phase="Pending")], "", id="nor one that starts"),
        pytest.param([], "", id="no pods"),
    ],
)
def test_what_a_user_reads(pods: list[EndedPod], words: str) -> None:
    assert failure_words(pods) == words


def test_where_not_all_pods_were_listed_the_count_is_a_least_one() -> None:
    pods = [pod(box("main", ended(1)), name=f"p{number}") for number in range(20)]
    assert failure_words(pods, more=True).endswith("; and at least 19 more pods")


def test_whatever_a_container_writes_it_is_one_bounded_printable_line() -> None:
    text = failure_words([pod(box("m" * 63, ended(1, message="\x1b[31m" + "x" * 5000)), name="p" * 253)])
    assert len(text) <= MAX_WORDS
    assert text.isprintable()
