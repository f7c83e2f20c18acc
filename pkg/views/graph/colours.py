"""The colours of phases in pictures: they differ in lightness as well, for who does not see all colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pkg.apis.flow.v1alpha1.phases import Phase


@dataclass(frozen=True, slots=True)
class Colour:
    """Colours of a box, as CSS writes them."""

    fill: str
    line: str


COLOURS: Final[Mapping[Phase, Colour]] = {
    Phase.WAITING: Colour("#f6f8fa", "#8c959f"),
    Phase.PENDING: Colour("#fff8c5", "#bf8700"),
    Phase.SUSPENDED: Colour("#fbefff", "#8250df"),
    Phase.RUNNING: Colour("#ddf4ff", "#0969da"),
    Phase.BACKOFF: Colour("#fff1e5", "#bc4c00"),
    Phase.SUCCEEDED: Colour("#dafbe1", "#1a7f37"),
    Phase.FAILED: Colour("#ffebe9", "#cf222e"),
    Phase.SKIPPED: Colour("#eaeef2", "#afb8c1"),
    Phase.CANCELLED: Colour("#eaeef2", "#57606a"),
}
