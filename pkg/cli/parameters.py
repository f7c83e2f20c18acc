"""`-p name=value`, of submit, resubmit, retry and render."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def _parsed(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    if not given:
        return {}
    from pkg.views.copies import ParameterFault, parse_parameters

    try:
        return parse_parameters(given)
    except ParameterFault as fault:
        raise click.BadParameter(str(fault)) from fault


def parameter_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Adds -p to a verb, which gets `parameters`: values by name."""
    option = click.option(
        "-p",
        "--parameter",
        "parameters",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_parsed,
        help="Value of a parameter of the Workflow. May be given several times.",
    )
    return option(verb)
