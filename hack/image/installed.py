"""What is installed in this environment: the versions that were tested are the versions that go into the image."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement

from hack.image.contents import canonical, closure

PROJECT = "work-flow"
EXTRAS = ("", "controller", "dashboard", "auth-provider")
"""The extras of the project that go into the image, but for what `contents.LEFT_OUT` names; "" means without extra."""


def requirements(extras: tuple[str, ...] = EXTRAS) -> dict[str, list[str]]:
    """Canonical name of each installed distribution -> names of what it requires here, without extras.

    Those of the project are with these of its extras.
    """
    found: dict[str, list[str]] = {}
    for distribution in metadata.distributions():
        wanted = [Requirement(text) for text in distribution.requires or []]
        name = canonical(distribution.metadata["Name"])
        own = extras if name == PROJECT else ("",)
        found[name] = [
            each.name
            for each in wanted
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in own)
        ]
    return found


def in_image() -> dict[str, str]:
    """Canonical name -> version of each distribution of the image but the project's own; sorted by name."""
    names = closure(PROJECT, requirements())
    return {name: metadata.version(name) for name in names if name != PROJECT}
