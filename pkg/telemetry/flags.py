"""The flags that every command has: the cluster, where metrics and health are served, and how it logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from pkg.apis.flow.v1alpha1 import durations
from pkg.telemetry.health import AUTO, DEFAULT_ADDRESS, BindError, parse_address
from pkg.telemetry.logging import LEVELS

F = TypeVar("F", bound=Callable[..., Any])
_DEFAULT = "{}:{}".format(*DEFAULT_ADDRESS)


class Duration(click.ParamType[Any]):
    """Seconds, from a duration as Go writes it."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The seconds."""
        if isinstance(value, float):
            return value
        try:
            return durations.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Address(click.ParamType[Any]):
    """An address to listen on, as `pkg.telemetry.health.parse_address` reads it."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, which is checked."""
        try:
            parse_address(value, param.opts[0] if param is not None else "the address")
        except BindError as error:
            self.fail(str(error), param, ctx)
        return str(value)


def switch(name: str, text: str) -> Callable[[F], F]:
    """A flag that is on unless `NAME=false` is given."""
    return click.option(
        name, type=click.BOOL, is_flag=False, flag_value=True, default=True, show_default=True, help=text
    )


def kubeconfig_option() -> Callable[[F], F]:
    """Which cluster."""
    text = "Kubeconfig file; else $KUBECONFIG, the pod's service account, ~/.kube/config."
    return click.option("--kubeconfig", default="", help=text)


def telemetry_options() -> list[Callable[[F], F]]:
    """Where metrics and health are served, and how the process logs."""
    return [
        click.option(
            "--metrics-bind-address",
            type=Address(),
            default=AUTO,
            show_default=True,
            help=f"Where /metrics is served; auto: {_DEFAULT}, or a free port if it is taken; 0: nowhere.",
        ),
        click.option(
            "--health-bind-address",
            type=Address(),
            default=AUTO,
            show_default=True,
            help="Where /healthz and /readyz are served; auto: with /metrics; 0: nowhere.",
        ),
        click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True),
        click.option("--log-format", type=click.Choice(("json", "console")), default="json", show_default=True),
    ]
