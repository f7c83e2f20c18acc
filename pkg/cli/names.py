"""The names of Workflows, CronWorkflows and WorkTemplates, as people write them on a command line."""

from __future__ import annotations

import re
from typing import Final

from pkg.cli.problems import Problem

WRONG_USAGE: Final = 2
_LONGEST: Final = 253
#: Output of `-o name`, and what kubectl takes: `workflow/nightly`.
_PREFIX: Final = re.compile(r"\A(?:workflows?|wkf)(?:\.flow\.workflow\.sh)?/")
_CRON_PREFIX: Final = re.compile(r"\A(?:cronworkflows?|cwkf)(?:\.flow\.workflow\.sh)?/")
_TEMPLATE_PREFIX: Final = re.compile(r"\A(?:worktemplates?|wkt)(?:\.flow\.workflow\.sh)?/")
_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\Z")
_NAME: Final = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?\Z")


def workflow_name(given: str) -> str:
    """One name, without `workflow/`. Raises Problem for what cannot be a name."""
    return _name(given, _PREFIX, "workflow")


def without_prefix(given: str) -> str:
    """The name without `workflow/`, unchecked: names in files may be those of generateName."""
    return _PREFIX.sub("", given, count=1)


def cron_name(given: str) -> str:
    """The name of a CronWorkflow, without `cronworkflow/`. Raises Problem for what cannot be a name."""
    return _name(given, _CRON_PREFIX, "CronWorkflow")


def template_name(given: str) -> str:
    """The name of a WorkTemplate, without `worktemplate/`. Raises Problem for what cannot be a name."""
    return _name(given, _TEMPLATE_PREFIX, "WorkTemplate")


def namespace_name(given: str) -> str:
    """The name of a namespace. Raises Problem for what cannot be one."""
    if not _LABEL.match(given):
        raise Problem(
            f'"{given}" cannot be the name of a namespace: at most 63 lower case letters, digits and "-" are allowed',
            WRONG_USAGE,
        )
    return given


def _name(given: str, prefix: re.Pattern[str], what: str) -> str:
    name = prefix.sub("", given, count=1)
    if not _NAME.match(name) or len(name) > _LONGEST:
        raise Problem(
            f'"{given}" cannot be the name of a {what}: lower case letters, digits, "-" and "." are allowed',
            WRONG_USAGE,
        )
    return name
