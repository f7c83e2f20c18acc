"""The names of workflows, as people write them on a command line."""

from __future__ import annotations

import re
from typing import Final

from pkg.cli.problems import Problem

WRONG_USAGE: Final = 2
#: Output of `-o name`, and what kubectl takes: `workflow/nightly`.
_PREFIX: Final = re.compile(r"(?:workflows?|wkf)(?:\.flow\.workflow\.sh)?/")
_NAME: Final = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\Z")


def workflow_name(given: str) -> str:
    """One name, without `workflow/`. Raises Problem for what cannot be a name."""
    name = _PREFIX.sub("", given, count=1) if _PREFIX.match(given) else given
    if not _NAME.match(name) or len(name) > 253:
        raise Problem(
            f'"{given}" cannot be the name of a workflow: lower case letters, digits, "-" and "." are allowed',
            WRONG_USAGE,
        )
    return name
