"""What does not go into the image, and why. Only the standard library, because the build of the image runs it too.

tests/image checks these tables against what the commands import: a distribution that nothing imports must be named
here, and one that something imports at start-up must not.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping

LEFT_OUT: Mapping[str, str] = {
    "h11": "uvicorn reads HTTP with it where httptools is missing",
    "idna": "anyio encodes names of hosts with it as a client, which the dashboard's server is not",
    "kubernetes": "only a kubeconfig with an auth-provider needs it; a pod has a service account",
    "markdown-it-py": "rich renders Markdown with it, which no command does",
    "pycparser": "cffi reads C declarations with it, when a module is built",
}
"""Distribution -> why the image goes without it. What only these need is left out with them."""

DATA: Mapping[str, str] = {"tzdata": "zoneinfo reads time zones from it, when a CronWorkflow names one"}
"""Distribution -> what reads it without an import."""

FILES_LEFT_OUT: Mapping[str, str] = {
    "cel_expr_python/ext/*": "extensions of CEL that the expressions of statusRules do not have",
    "pygments/lexers/[!_ps]*": "of all languages only Python is shown, in a traceback of --log-format=console",
    "pygments/lexers/p[!y]*": "likewise",
    "pygments/lexers/py[!t]*": "likewise",
    "pygments/lexers/s[!p]*": "likewise",
    "pygments/lexers/sp[!e]*": "likewise",
    "pygments/formatters/*": "rich formats by itself",
    "*.pyi": "for type checkers",
    "*.pyx": "sources of compiled modules",
    "*.pxd": "likewise",
    "*.c": "likewise",
    "*.h": "likewise",
    "*/py.typed": "for type checkers",
    "*-stubs/*": "for type checkers",
}
"""Pattern of a path in site-packages (`*` matches slashes too) -> why such files are left out."""


def is_left_out(path: str) -> bool:
    """Whether the image goes without this file; `path` starts at site-packages, with slashes."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in FILES_LEFT_OUT)


def canonical(name: str) -> str:
    """The name of a distribution as PyPI compares it: lower case, with single hyphens."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)


def closure(root: str, requirements: Mapping[str, Iterable[str]], left_out: Iterable[str] = LEFT_OUT) -> list[str]:
    """`root` and all that it requires, directly or not, without `left_out`; sorted.

    `requirements` maps the canonical name of each installed distribution to the names that it requires. Raises
    KeyError for a distribution that is required and not installed.
    """
    without, found, todo = frozenset(left_out), set[str](), [root]
    while todo:
        name = todo.pop()
        if name not in found and name not in without:
            found.add(name)
            todo.extend(map(canonical, requirements[name]))
    return sorted(found)
