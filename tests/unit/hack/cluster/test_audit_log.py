"""Lines of the audit log, also while the API server writes."""

from __future__ import annotations

from pathlib import Path

from hack.cluster.audit_log import entries, size


def test_entries_are_decoded_in_order_from_an_offset(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('{"verb":"get"}\n{"verb":"create"}\n{"verb":"delete"}\n')
    assert [entry["verb"] for entry in entries(log)] == ["get", "create", "delete"]
    assert [entry["verb"] for entry in entries(log, offset=15)] == ["create", "delete"]


def test_files_that_the_server_has_left_behind_come_first(tmp_path: Path) -> None:
    (tmp_path / "audit-2026-12-01T04-47-41.248.log").write_text('{"verb":"create"}\n')
    (tmp_path / "audit-2026-12-01T04-27-02.511.log").write_text('{"verb":"get"}\n{"verb":"list"}\n')
    log = tmp_path / "audit.log"
    log.write_text('{"verb":"delete"}\n')
    assert [entry["verb"] for entry in entries(log)] == ["get", "list", "create", "delete"]
    assert [entry["verb"] for entry in entries(log, offset=15)] == ["list", "create", "delete"]
    assert [entry["verb"] for entry in entries(log, offset=31)] == ["create", "delete"]
    assert [entry["verb"] for entry in entries(log, offset=49)] == ["delete"]
    assert [entry["verb"] for entry in entries(log, offset=size(log))] == []


def test_only_lines_with_the_text_are_decoded(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('no JSON\n{"verb":"create"}\n')
    assert [entry["verb"] for entry in entries(log, containing="create")] == ["create"]


def test_the_log_ends_before_a_line_that_is_still_being_written(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('{"verb":"get"}\n{"verb":"cre')
    assert [entry["verb"] for entry in entries(log)] == ["get"]
