"""An option of a verb that stands before the verb, as kubectl takes it, and where it belongs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click


def misplaced(context: click.Context, option: str, words: Sequence[str] = ()) -> str:
    """`write -n after the verb: kubectl workflow list -n default`; empty if no verb of the group has the option.

    words: all that was given to the group. Without a verb among them, VERB stands for it.
    """
    group = context.command
    if not isinstance(group, click.Group):
        return ""
    verbs = group.list_commands(context)
    for at, word in enumerate(words):
        found = group.get_command(context, word) if word in verbs else None
        path, rest = [word], [*words[at + 1 :]]
        if isinstance(found, click.Group):
            inner = found.get_command(context, rest[0]) if rest and rest[0] in found.list_commands(context) else None
            found, path, rest = inner, [*path, *rest[:1]], rest[1:]
        if found is None or (at and _takes_value(found, words[at - 1])):
            continue  # it is the value of an option
        if _option(found, option) is not None:
            return _said(context, option, [*path, *words[:at], *rest])
    known = [group.get_command(context, verb) for verb in verbs]
    has_it = any(verb is not None and _option(verb, option) is not None for verb in known)
    return _said(context, option, ["VERB", *(words or [option, "..."])]) if has_it else ""


def _said(context: click.Context, option: str, words: Sequence[str]) -> str:
    return f"write {option} after the verb: {context.command_path} {' '.join(map(_quoted, words))}"


def _quoted(word: str) -> str:
    return word if word == "..." else shlex.quote(word)


def _takes_value(verb: click.Command, word: str) -> bool:
    found = _option(verb, word)
    return found is not None and not found.is_flag and not found.count


def _option(verb: click.Command, name: str) -> click.Option | None:
    return next((one for one in verb.params if isinstance(one, click.Option) and name in one.opts), None)
