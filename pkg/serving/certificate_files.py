"""A certificate that somebody else keeps in files, such as those of a mounted Secret; they are read again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog

from pkg.serving.certificate_source import Source, Use
from pkg.serving.tls import BadCertificate

_POLL_SECONDS: Final = 10.0
_log = structlog.get_logger("certificates")


class Files(Source[tuple[bytes, bytes]]):
    """A thread that reads both files again and again. While they do not fit together, the previous ones stay in use."""

    def __init__(self, certificate: Path, key: Path, use: Use, poll_seconds: float = _POLL_SECONDS) -> None:
        super().__init__(use, "the certificate files have not been read yet")
        self._paths = (certificate, key)
        self._poll = poll_seconds

    def look(self) -> float:
        """As step(); the next look is due after the usual time."""
        self.step()
        return self._poll

    def step(self) -> None:
        """Reads the files, and uses them if they have changed."""
        try:
            content = (self._paths[0].read_bytes(), self._paths[1].read_bytes())
            if content == self._used:
                return
            self._use(*content)
        except (OSError, BadCertificate) as error:
            problem = str(error)
            if problem != self._problem:
                _log.warning("certificate files cannot be used", error=problem, is_serving=self._used is not None)
            self._problem = problem
            return
        self._used, self._problem = content, None
        _log.info("certificate files in use", certificate=str(self._paths[0]))
