"""Standard output that says in one line why it cannot be written, such as a full disk."""

from __future__ import annotations

import io
import sys
from typing import Final

from pkg.cli.problems import Problem

_DESCRIPTOR: Final = 1


class _Raw(io.FileIO):
    """The file of standard output. After its first error it takes no more: what is flushed at the end is dropped."""

    _is_broken = False

    def write(self, data: object, /) -> int:
        """As io.FileIO; raises Problem. A closed pipe stays a BrokenPipeError, which ends the command in silence."""
        if self._is_broken:
            return memoryview(data).nbytes  # type: ignore[arg-type]  # a buffer, as io.FileIO has it
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            self._is_broken = True
            raise
        except OSError as error:
            self._is_broken = True
            raise Problem(f"the output cannot be written: {error.strerror or error}") from error


def guard() -> None:
    """Puts it in the place of sys.stdout, where that is the file of the process and nothing was written yet."""
    old = sys.stdout
    if not isinstance(old, io.TextIOWrapper) or old.fileno() != _DESCRIPTOR:
        return
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Raw(_DESCRIPTOR, "w", closefd=False)),
        encoding=old.encoding,
        errors=old.errors,
        line_buffering=old.line_buffering,
        write_through=old.write_through,
    )
