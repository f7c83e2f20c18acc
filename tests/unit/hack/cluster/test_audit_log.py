"""Lines of the audit log, also while the API server writes."""

from __future__ import annotations

from pathlib import Path

from hack.cluster.audit_log import entries


def test_entries_are_decoded_in_order_from_an_offset(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('{"verb":"get"}\n{"verb":"create"}\n{"verb":"delete"}\n')
    assert [entry["verb"] for entry in entries(log)] == ["get", "create", "delete"]
    assert [entry["verb"] for entry in entries(log, offset=15)] == ["create", "delete"]


def test_only_lines_with_the_text_are_decoded(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('no JSON\n{"verb":"create"}\n')
    assert [entry["verb"] for entry in entries(log, containing="create")] == ["create"]


def test_the_log_ends_before_a_line_that_is_still_being_written(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('{"verb":"get"}\n{"verb":"cre')
    assert [entry["verb"] for entry in entries(log)] == ["get"]
