"""What suspend, resume, stop and terminate have in common: which workflows, one call for each, one line for each."""

from __future__ import annotations

from typing import Final

import click

from pkg.cli.confirm import confirm
from pkg.cli.connection import Connection
from pkg.cli.many import each
from pkg.cli.names import WRONG_USAGE
from pkg.cli.problems import Problem, problem_of
from pkg.kube.errors import KubeError
from pkg.views.actions import Action, Change, Impossible, Verdict, verdict
from pkg.views.briefs import Brief, list_briefs, read_brief
from pkg.views.sending import send

_ASKED_ABOVE: Final = 1


def run_action(
    connection: Connection, action: Action, names: tuple[str, ...], selector: str, is_all: bool, yes: bool
) -> None:
    """Changes the workflows that are named, or chosen by labels, and says what became of each.

    Of chosen workflows, those without anything to change are passed over. Ends with 1 if one could not be changed.
    """
    if bool(names) + bool(selector) + is_all > 1:
        one, other = (
            ("name the workflows to {}", "choose them with -l LABELS or --all")
            if names
            else ("choose the workflows to {} with -l LABELS", "with --all")
        )
        raise Problem(f"{one.format(action)} or {other}, not both", WRONG_USAGE)
    if not (names or selector or is_all):
        raise Problem(f"name the workflows to {action}, or choose them with -l LABELS or --all", WRONG_USAGE)
    if names and connection.all_namespaces:
        raise Problem("-A needs -l or --all: a name belongs to one namespace, which -n gives", WRONG_USAGE)
    failed = 0
    if names:
        for name in dict.fromkeys(names):
            failed += not _on_one(connection, action, name)
    else:
        failed = _on_many(connection, action, selector, yes=yes)
    if failed:
        raise click.exceptions.Exit(1)


def _on_one(connection: Connection, action: Action, name: str) -> bool:
    try:
        brief = read_brief(connection.client, connection.namespace, name)
        found = verdict(action, brief)
        if isinstance(found, Change):
            send(connection.client, brief, found)
    except KubeError as error:
        problem_of(error, connection.client.server).show()
        return False
    return _say(brief, found, "")


def _on_many(connection: Connection, action: Action, selector: str, *, yes: bool) -> int:
    chosen = []
    for brief in list_briefs(connection.client, connection.scope, label_selector=selector):
        found = verdict(action, brief)
        if isinstance(found, Change):
            chosen.append((brief, found))
    if not chosen:
        click.echo(f"no workflow to {action}", err=True)
        return 0
    if len(chosen) > _ASKED_ABOVE:
        confirm(f"{str(action).capitalize()} {len(chosen):,} workflows?", yes=yes)
    failed = 0
    done = {"suspend": "suspended", "resume": "resumed", "stop": "stopping", "terminate": "terminating"}[action]
    for (brief, found), error in each(chosen, lambda one: send(connection.client, *one), done):
        if error is not None:
            problem_of(error, connection.client.server).show()
            failed += 1
        else:
            _say(brief, found, f" in {brief.metadata.namespace}" if connection.all_namespaces else "")
    return failed


def _say(brief: Brief, found: Verdict, where: str) -> bool:
    name = brief.metadata.name
    if isinstance(found, Impossible):
        Problem(f"{name}{where} {found.why}").show()
        return False
    click.echo(f"workflow/{name}{where} {found.done if isinstance(found, Change) else found.said}")
    return True
