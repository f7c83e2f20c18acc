"""A certificate that somebody else keeps in files, such as those of a mounted Secret; they are read again and again."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Final

import structlog

from pkg.webhooks.certificates.keeper import Use
from pkg.webhooks.server.tls import BadCertificate

_POLL_SECONDS: Final = 10.0
_log = structlog.get_logger("certificates")


class Files:
    """A thread that reads both files again and again. While they do not fit together, the previous ones stay in use."""

    def __init__(self, certificate: Path, key: Path, use: Use, poll_seconds: float = _POLL_SECONDS) -> None:
        self._paths = (certificate, key)
        self._use = use
        self._poll = poll_seconds
        self._used: tuple[bytes, bytes] | None = None
        self._problem: str | None = "the certificate files have not been read yet"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="certificates", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()

    def lacks(self) -> str | None:
        """None if there is a certificate in use, else why not: a health check."""
        return None if self._used is not None else self._problem

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.step()
            self._stopping.wait(self._poll * random.uniform(0.5, 1.5))

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
