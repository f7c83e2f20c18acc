"""The browser of the tests: where it is, and how it is installed where it can be.

`python -m hack.browser` installs Debian's package `chromium`, for which it has to be root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")
HOW = "as root on Debian or Ubuntu: apt-get install chromium"


def find() -> str | None:
    """The program, or None. WORKFLOW_BROWSER names one that is not on the PATH."""
    given = os.environ.get("WORKFLOW_BROWSER")
    if given:
        return given
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def install() -> int:
    """Installs it, unless it is there; the exit code."""
    if find() is not None:
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"no browser here; {HOW}", file=sys.stderr)
        return 1
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ("update", "install --yes --no-install-recommends chromium"):
        asked = ["apt-get", "-qq", *command.split()]
        found = subprocess.run(asked, env=quiet, capture_output=True, text=True, check=False)
        if found.returncode:
            print(f"{' '.join(asked)} failed:\n{found.stderr[-2000:]}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(install())
