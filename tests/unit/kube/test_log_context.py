"""The fields that each line of a reconcile has."""

from __future__ import annotations

import contextvars
from typing import Any

from pkg.kube.log_context import RECONCILE, Reconcile, add_reconcile


def line(reconcile: Reconcile | None, **fields: Any) -> dict[str, Any]:
    def added() -> dict[str, Any]:
        RECONCILE.set(reconcile)
        return dict(add_reconcile(None, "info", fields))

    return contextvars.copy_context().run(added)


def test_a_line_of_a_reconcile_has_its_key_under_the_name_of_the_subject() -> None:
    assert line(("cron", "ns/c", "cron-0", 12), event="run made") == {
        "event": "run made",
        "cron": "ns/c",
        "reconcile": "cron-0-12",
    }


def test_a_field_of_the_line_itself_counts() -> None:
    assert line(("workflow", "ns/a", "3", 1), workflow="ns/b")["workflow"] == "ns/b"


def test_a_line_outside_of_a_reconcile_stays_as_it_is() -> None:
    assert line(None, event="started") == {"event": "started"}
