"""Options that choose Workflows by phase and age."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def selected_by(parser: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that reads an option, if it is given, with that function of `pkg.views.selections`."""

    def parsed(_context: click.Context, _parameter: click.Parameter, given: Any) -> Any:
        if not given:
            return given
        from pkg.views import selections

        try:
            return getattr(selections, parser)(given)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return parsed
