"""`template list` and `template get`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pkg.cli.arguments import TEMPLATE
from pkg.cli.connection import Connection, cluster_options
from pkg.cli.formats import NAMES, OBJECTS, as_list, output_option, shown
from pkg.cli.output import Screen, cut, echo, printable, screen, table

if TYPE_CHECKING:
    from pkg.views.template_list import TemplateLine

_PREFIX = "worktemplate.flow.workflow.sh/"


@click.group("template")
def command() -> None:
    """List WorkTemplates, or show one."""


@command.command("list")
@cluster_options(all_namespaces=True)
@click.option("-l", "--selector", default="", metavar="LABELS", help="Label selector, such as team=a,tier!=b.")
@output_option(*OBJECTS, NAMES)
def list_all(connection: Connection, selector: str, form: str | None) -> None:
    """List WorkTemplates: the kind of job, parameters with defaults, how many Workflows use them."""
    from pkg.views.template_list import read_lines, read_objects

    if form in OBJECTS:
        echo([shown(as_list(read_objects(connection.client, connection.scope, selector)), form)])
        return
    found = read_lines(connection.client, connection.scope, time.time(), selector)
    if form == NAMES:
        echo(f"{_PREFIX}{one.name}" for one in found)
    elif found:
        echo(render(found, screen(), namespaces=connection.all_namespaces))
    else:
        where = "in any namespace" if connection.scope is None else f"in namespace {connection.scope}"
        click.echo(f"no {'such ' if selector else ''}WorkTemplates {where}", err=True)


@command.command("get")
@click.argument("name", type=TEMPLATE)
@cluster_options
@output_option(*OBJECTS, NAMES)
def get(connection: Connection, name: str, form: str | None) -> None:
    """Show a WorkTemplate: the kind of job, its parameters, and which Workflows use it."""
    from pkg.views.template_list import read_line, read_object

    if form in OBJECTS:
        echo([shown(read_object(connection.client, connection.namespace, name), form)])
        return
    found = read_line(connection.client, connection.namespace, name, time.time())
    echo([f"{_PREFIX}{found.name}"] if form == NAMES else render_one(found, screen()))


def render(found: Sequence[TemplateLine], to: Screen, *, namespaces: bool = False) -> list[str]:
    """The templates as columns. Pure."""
    from pkg.views.durations import shown as time_shown

    head = ["NAME", "KIND", "USED BY", "AGE", "PARAMETERS"]
    rows = [
        [one.name, one.kind, str(one.used_by), time_shown(one.age), printable(", ".join(one.parameters))]
        for one in found
    ]
    if namespaces:
        head.insert(0, "NAMESPACE")
        for row, one in zip(rows, found, strict=True):
            row.insert(0, one.namespace)
    return table(head, rows, to)


def render_one(found: TemplateLine, to: Screen) -> list[str]:
    """One template. Pure."""
    from pkg.views.durations import shown as time_shown

    lines = [
        f"WorkTemplate {to.paint(f'{found.namespace}/{found.name}', bold=True)}, age {time_shown(found.age)}",
        f"Makes: {found.kind}",
        "Parameters:" if found.parameters else "Parameters: none",
    ]
    for parameter in found.parameters:
        _, given, _ = parameter.partition("=")
        text = printable(parameter) + ("" if given else " (has to be given)")
        lines.append(f"  {cut(text, to.width - 2) if to.width else text}")
    names = ", ".join(found.users[:10]) + (f" and {found.used_by - 10} more" if found.used_by > 10 else "")
    users = f"{found.used_by} {'Workflow' if found.used_by == 1 else 'Workflows'}: {names}"
    lines.append(f"Used by: {users if found.used_by else 'no Workflow'}")
    return [cut(text, to.width) if to.width and "\x1b" not in text else text for text in lines]
