"""The termination message of a container, from the status of its pod."""

from __future__ import annotations

from pkg.workloads.pod_failure import ContainerStatus, PodStatus


def message_in(status: PodStatus, container: str) -> str | None:
    """What a container that has ended wrote last; None if it has not ended, or wrote nothing.

    container: its name, empty for the first one. The line end that `echo` adds is left out.
    """
    ended = _status_of(status, container)
    if ended is None or ended.state.terminated is None:
        return None
    text = ended.state.terminated.message
    return text.removesuffix("\n") if text else None


def has_ended(status: PodStatus, container: str) -> bool:
    """Whether the pod shows the end of a container, or its own."""
    found = _status_of(status, container)
    return (found is not None and found.state.terminated is not None) or status.phase in ("Succeeded", "Failed")


def containers_of(status: PodStatus) -> list[str]:
    """The names of the containers that the status of a pod shows, init containers last."""
    return [one.name for one in (*(status.container_statuses or ()), *(status.init_container_statuses or ()))]


def _status_of(status: PodStatus, container: str) -> ContainerStatus | None:
    every = (*(status.container_statuses or ()), *(status.init_container_statuses or ()))
    if not container:
        return every[0] if status.container_statuses else None
    return next((one for one in every if one.name == container), None)
