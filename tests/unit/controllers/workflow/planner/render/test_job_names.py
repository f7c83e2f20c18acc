"""Names of jobs: predictable, never longer than allowed, never two tasks with one name."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1.labels import short_hash
from pkg.controllers.workflow.planner.render.job_names import fallback_name, is_name_of, job_name
from pkg.workloads import NameRule

PLAIN = NameRule(63, False)
SHORT = NameRule(30, False)
LABEL = NameRule(63, True)
HOST = NameRule(63, label=True)
LONG = "a-rather-long-name-for-a-workflow"  # 33 characters
UID = "6A3EF3C2-97a3-4b0e-9d5c-1"


@pytest.mark.parametrize(
    ("workflow", "flow", "index", "attempt", "rule", "name"),
    [
        pytest.param("w", "a", None, 0, PLAIN, "w-a", id="workflow and flow"),
        pytest.param("w", "a", 3, 0, PLAIN, "w-a-3", id="the index of a for flow"),
        pytest.param("w", "a", 0, 0, PLAIN, "w-a-0", id="index 0 of a for flow is written"),
        pytest.param("w", "a", None, 2, PLAIN, "w-a-r2", id="a later attempt"),
        pytest.param("w", "a", 3, 2, PLAIN, "w-a-3-r2", id="index and attempt"),
        pytest.param("w.x", "a", None, 0, PLAIN, "w.x-a", id="dots stay where the kind takes them"),
        pytest.param(LONG, "a", None, 0, SHORT, f"{LONG[:21]}-{short_hash(LONG + '/a/0/0')}", id="cut, with a hash"),
        pytest.param(
            LONG, "a", 12, 3, SHORT, f"{LONG[:15]}-12-r3-{short_hash(LONG + '/a/12/3')}", id="cut, the suffix kept"
        ),
        pytest.param("w.x", "a", None, 0, LABEL, f"w-x-a-{short_hash('w.x/a/0/0')}", id="dots become dashes"),
        pytest.param("7w", "a", 1, 0, LABEL, f"w7w-a-1-{short_hash('7w/a/1/0')}", id="a leading digit gets a w"),
        pytest.param(
            "7.x", "a", None, 0, HOST, f"7-x-a-{short_hash('7.x/a/0/0')}", id="no dots, but a digit, in a label"
        ),
        pytest.param("7w", "a", None, 0, HOST, "7w-a", id="a name that is a label stays"),
        pytest.param("w-x", "a", None, 0, LABEL, "w-x-a", id="a name that fits DNS-1035 stays"),
        pytest.param(
            "abcdefghij-klmnopqrs-",
            "bcdefghij",
            None,
            0,
            SHORT,
            f"abcdefghij-klmnopqrs-{short_hash('abcdefghij-klmnopqrs-/bcdefghij/0/0')}",
            id="no two dashes where it was cut",
        ),
    ],
)
def test_job_name(workflow: str, flow: str, index: int | None, attempt: int, rule: NameRule, name: str) -> None:
    made = job_name(workflow=workflow, flow=flow, index=index, attempt=attempt, rule=rule)
    assert made == name
    assert len(made) <= rule.max_length


def test_the_fallback_has_the_uid() -> None:
    assert fallback_name(workflow="w", flow="a", index=1, attempt=2, rule=PLAIN, uid=UID) == "w-a-1-r2-6a3ef3c2"
    cut = fallback_name(workflow=LONG, flow="a", index=None, attempt=0, rule=SHORT, uid=UID)
    assert cut == f"{LONG[:12]}-{short_hash(LONG + '/a/0/0')}-6a3ef3c2"


LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


@given(
    workflow=st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?", fullmatch=True),
    flow=LABELS,
    index=st.none() | st.integers(0, 9_999),
    attempt=st.integers(0, 1_001),
    rule=st.builds(NameRule, st.integers(16, 63), st.booleans(), st.booleans()),
)
def test_every_name_is_one_the_api_server_takes(
    workflow: str, flow: str, index: int | None, attempt: int, rule: NameRule
) -> None:
    task = {"workflow": workflow, "flow": flow, "index": index, "attempt": attempt, "rule": rule}
    names = [job_name(**task), fallback_name(**task, uid=UID)]  # type: ignore[arg-type]
    assert names[0] != names[1]
    for name in names:
        assert len(name) <= rule.max_length
        assert name[0].isalnum()
        assert name[-1].isalnum()
        if rule.dns1035:
            assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
        if rule.label:
            assert "." not in name


WORDS = st.text("ab7-.", min_size=1, max_size=40).map(lambda text: f"a{text.strip('-.')}z")


@given(
    workflow=WORDS,
    flow=WORDS,
    index=st.none() | st.integers(0, 10_000),
    attempt=st.integers(0, 99),
    length=st.integers(16, 80),
    dns1035=st.booleans(),
    label=st.booleans(),
)
def test_every_name_that_is_given_is_known_again_whatever_the_limits_of_its_kind(
    workflow: str, flow: str, index: int | None, attempt: int, length: int, dns1035: bool, label: bool
) -> None:
    rule = NameRule(length, dns1035, label)
    task: dict[str, Any] = {"workflow": workflow, "flow": flow, "index": index, "attempt": attempt}
    for name in (job_name(**task, rule=rule), fallback_name(**task, rule=rule, uid=UID)):
        assert is_name_of(name, **task, uid=UID)
        assert not is_name_of(f"{name}x", **task, uid=UID)
        assert not is_name_of(name, **{**task, "attempt": attempt + 1}, uid=UID)
