"""What the API server warns of."""

from __future__ import annotations

import click


def warn(said: tuple[str, ...]) -> None:
    """Prints warnings of the API server, one a line, on standard error."""
    for text in said:
        click.echo(f"warning: {' '.join(text.split())}", err=True)
