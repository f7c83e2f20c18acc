"""What the API server warns of."""

from __future__ import annotations

import click

from pkg.cli.output import printable


def warn(said: tuple[str, ...]) -> None:
    """Prints warnings of the API server, one a line, on standard error."""
    for text in said:
        click.echo(f"warning: {printable(text)}", err=True)
