"""How much of a log is read and shown."""

from __future__ import annotations

from collections.abc import Iterator

from pkg.dashboard.site.logs import last_lines


def test_a_short_log_is_shown_whole() -> None:
    assert last_lines([b"a", b"\xff\r"]) == (["a", "\ufffd"], "")


def test_of_a_long_log_the_end_is_shown_and_it_is_said() -> None:
    lines, said = last_lines([b"%03d" % number for number in range(100)], most=30)
    assert lines == [f"{number:03}" for number in range(90, 100)]
    assert said == "earlier lines are left out: 0 KiB of a log are shown"


def test_a_long_line_is_cut() -> None:
    lines, _ = last_lines([b"x" * 20_000])
    assert [len(line) for line in lines] == [10_000]


def test_a_log_of_endless_lines_is_not_read_to_the_end() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 1024

    lines, said = last_lines(endless(), most=4096, most_read=100 * 1024)
    assert read == 101
    assert len(lines) == 4
    assert said.startswith("the lines are too long")
