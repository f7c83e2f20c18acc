"""Why a job was not created: the reason by the API server's answer, and messages that do not change with every try."""

from __future__ import annotations

import pytest

from pkg.controllers.workflow.create_faults import RENEW_SECONDS, explain, steady
from pkg.controllers.workflow.planner.snapshot import CreateFault, Trouble
from pkg.kube.errors import Conflict, Denied, Forbidden, KubeError, NamespaceTerminating, NotFound, Throttled, Transient


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(
            Forbidden('jobs.batch "w-a" is forbidden: exceeded quota: tight'), "QuotaExceeded", id="a full quota"
        ),
        pytest.param(
            Forbidden('pods "w-a" is forbidden: failed quota: tight: must specify limits.cpu'),
            "QuotaExceeded",
            id="a quota that wants limits",
        ),
        pytest.param(
            Forbidden('jobs.batch is forbidden: User "system:serviceaccount:x:y" cannot create resource "jobs"'),
            "Forbidden",
            id="a permission that the controller lacks",
        ),
        pytest.param(
            Forbidden('pods "w-a" is forbidden: violates PodSecurity "restricted:latest"'),
            "AdmissionDenied",
            id="a built-in admission plugin",
        ),
        pytest.param(Denied('admission webhook "x" denied the request: no'), "AdmissionDenied", id="a webhook"),
        pytest.param(NamespaceTerminating("it is being deleted"), "NamespaceTerminating", id="a namespace that goes"),
        pytest.param(NotFound('namespaces "x" not found'), "CreateFailed", id="a namespace that is gone"),
        pytest.param(Throttled("too many requests"), "CreateFailed", id="a busy API server"),
        pytest.param(Transient("failed calling webhook"), "CreateFailed", id="a webhook that cannot be called"),
        pytest.param(Conflict("try again"), "CreateFailed", id="a conflict"),
    ],
)
def test_the_reason_is_the_cause_and_the_message_has_the_servers_words_and_what_to_do(
    error: KubeError, reason: str
) -> None:
    found, message = explain(error)
    assert found == reason
    assert message.startswith(f"{error.message}; ")
    assert len(message) > len(error.message) + 20


def test_long_words_of_the_server_leave_room_for_what_to_do() -> None:
    _, message = explain(Denied("x" * 2_000))
    assert len(message) <= 512
    assert message.endswith("correct the template, or the policy that denies it")


def fault(message: str, said_at: float = 100.0, reason: str = "QuotaExceeded") -> CreateFault:
    return CreateFault(Trouble.RETRY, 0, "w-a", reason, message, 100.0, 1, 0.0, said_at)


@pytest.mark.parametrize(
    ("before", "now", "shown"),
    [
        pytest.param(None, 100.0, ("used: 2", 100.0), id="the first failure"),
        pytest.param(fault("used: 1"), 160.0, ("used: 1", 100.0), id="another number soon after"),
        pytest.param(fault("used: 1"), 100.0 + RENEW_SECONDS, ("used: 2", 400.0), id="another number much later"),
        pytest.param(fault("full: 1"), 160.0, ("used: 2", 160.0), id="other words"),
        pytest.param(fault("used: 1", reason="CreateFailed"), 160.0, ("used: 2", 160.0), id="another reason"),
    ],
)
def test_a_message_stays_while_only_its_numbers_change(
    before: CreateFault | None, now: float, shown: tuple[str, float]
) -> None:
    assert steady(before, "QuotaExceeded", "used: 2", now) == shown
