"""Version, revision and tag of an image, from git. Pure but for `current`."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime

from hack.image.wheels import ROOT
from pkg.version import VERSION


@dataclass(frozen=True, slots=True)
class Source:
    """What an image is made from: `tag` names it, `epoch` is the time of the commit in seconds."""

    tag: str
    revision: str
    epoch: int

    @property
    def created(self) -> str:
        """The time of the commit as the OCI labels want it."""
        return datetime.fromtimestamp(self.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tag(described: str, version: str = VERSION) -> str:
    """The tag for the output of `git describe --tags --always --dirty --match v*`.

    `v0.1.0-3-gabc-dirty` stays as it is but for its v; where there is no tag of a version, and git names the commit
    alone, the version of the code stands in front. Characters that a tag may not have become hyphens.
    """
    if re.match(r"v\d", described):
        named = described.removeprefix("v")
    elif described:
        named = f"{version}-g{described}"
    else:
        named = version
    return re.sub(r"[^A-Za-z0-9_.-]", "-", named)[:128]


def current() -> Source:
    """Of this checkout; without git, of the version alone."""

    def git(*arguments: str) -> str:
        try:
            result = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return ""
        return result.stdout.strip() if result.returncode == 0 else ""

    described = git("describe", "--tags", "--always", "--dirty", "--match", "v*")
    return Source(tag(described), git("rev-parse", "HEAD") or "unknown", int(git("log", "-1", "--format=%ct") or 0))
