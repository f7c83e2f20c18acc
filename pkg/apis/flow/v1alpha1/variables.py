"""Variables such as `{{workflow.name}}` in templates, patches and values of parameters: finding and classifying them.

Validation (which names are unknown?), the graph (which pod addresses are needed?) and rendering use the same
scanner, so they agree about what a variable is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from pkg.apis.flow.v1alpha1 import raw
from pkg.apis.flow.v1alpha1.conversion import CONVERSIONS

TOKEN: Final = re.compile(r"\{\{\{\{([^{}]*)\}\}\}\}|\{\{([^{}]*)\}\}")
_FIRST_WORD: Final = re.compile(r"[A-Za-z0-9_-]*")
_PARAM: Final = re.compile(r"params\.([A-Za-z_][A-Za-z0-9_.-]*)\Z")
_ITEM: Final = re.compile(r"item(?:\.[A-Za-z0-9_-]+)*\Z")
_POD_IP: Final = re.compile(r"flows\.([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)\.podIP\Z")
_OUTPUT: Final = re.compile(
    r"flows\.([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)\.outputs\.([A-Za-z_][A-Za-z0-9_.-]*)(?:\[(index|0|[1-9][0-9]{0,5})\])?\Z"
)
# The escapes that the API server writes for <, >, & and the two line separators are of no interest.
_ESCAPE: Final = re.compile(rb"\\u(?!003[cCeE]|0026|202[89])")
# A longer key is cut in paths, and a longer name in messages: both may occur once per variable.
_MAX_SHOWN: Final = 80

OURS_IN_ORDER: Final = ("workflow", "flow", "flows", "index", "replicas", "attempt", "params")
OURS: Final = frozenset(OURS_IN_ORDER)
PLAIN: Final = (
    "workflow.name",
    "workflow.namespace",
    "workflow.uid",
    "workflow.scheduledTime",
    "flow.name",
    "index",
    "replicas",
    "attempt",
)
#: What `finally` flows know of how the workflow went.
OF_END: Final = ("workflow.phase", "workflow.reason", "workflow.message", "workflow.duration", "workflow.failures")
_PLAIN: Final = frozenset((*PLAIN, *OF_END))
#: Only Workflows with a scheduled time have a value for it.
SCHEDULED_TIME: Final = "workflow.scheduledTime"
NO_SCHEDULED_TIME: Final = (
    "has no value, because this Workflow has no scheduled time: let a CronWorkflow make it, or create it with the"
    " annotation flow.workflow.sh/scheduled-time"
)
#: Ours in a flow with items, and of nobody elsewhere.
ITEM: Final = "item"

# (trail of the parent, key), down to (None, path). Cheaper than a path as text, which is rarely needed.
Trail = tuple[Any, ...]


class OutputOf(NamedTuple):
    """`flows.train.outputs.accuracy[3]`: the flow, the output, and which task: `3`, `index`, or empty for all."""

    flow: str
    output: str
    pick: str = ""


def name_of(output: OutputOf) -> str:
    """The variable of an output: `flows.train.outputs.accuracy[3]`."""
    return f"flows.{output.flow}.outputs.{output.output}" + (f"[{output.pick}]" if output.pick else "")


class Known(msgspec.Struct, frozen=True):
    """A variable that exists, or would if its parameter or flow does: `params.epochs`, `index`, `flows.a.podIP`.

    `conversion`: the word after `|`, one of CONVERSIONS, or empty.
    """

    name: str
    conversion: str = ""

    @property
    def parameter(self) -> str | None:
        """`epochs` of `params.epochs`; None for any other variable."""
        return self.name[7:] if self.name.startswith("params.") else None

    @property
    def pod_ip_of(self) -> str | None:
        """`a` of `flows.a.podIP`; None for any other variable."""
        return self.name[6:-6] if self.name.startswith("flows.") and self.name.endswith(".podIP") else None

    @property
    def output(self) -> OutputOf | None:
        """The output that it stands for; None for any other variable."""
        found = _OUTPUT.match(self.name) if self.name.startswith("flows.") else None
        return OutputOf(found[1], found[2], found[3] or "") if found is not None else None

    @property
    def flow(self) -> str | None:
        """The flow whose pod address or output it stands for; None for any other variable."""
        return self.name.split(".", 2)[1] if self.name.startswith("flows.") else None

    @property
    def is_of_end(self) -> bool:
        """Whether it says how the workflow went: a variable in `finally` flows only."""
        return self.name in OF_END

    @property
    def is_item(self) -> bool:
        """Whether it is `item` or a part of it: a variable in flows with items only."""
        return self.name == ITEM or self.name.startswith(f"{ITEM}.")


class UnknownUnderOurs(msgspec.Struct, frozen=True):
    """A name whose first word is one of OURS, but which is no variable, or has a wrong conversion: an error."""

    name: str


class UnknownItem(msgspec.Struct, frozen=True):
    """A name whose first word is `item`, but which leads to no key, or has a wrong conversion.

    An error in a flow with items; elsewhere it stays as it is.
    """

    name: str


class Foreign(msgspec.Struct, frozen=True):
    """Braces that are not ours, such as those of Helm; left as they are."""

    name: str


class Literal(msgspec.Struct, frozen=True):
    """`{{{{x}}}}`, which stands for the text `{{x}}`."""

    name: str


Token = Known | UnknownUnderOurs | UnknownItem | Foreign | Literal


class VariableError(ValueError):
    """A variable cannot be replaced; `path` leads to the string, `text` is the variable as written."""

    def __init__(self, path: str, text: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.text = text
        self.message = message


def classify(inner: str) -> Known | UnknownUnderOurs | UnknownItem | Foreign:
    """What the text between `{{` and `}}` is; blanks around the name and around its conversion do not count."""
    text = inner.strip()
    name, bar, word = text.partition("|")
    name, word = name.rstrip(), word.lstrip()
    is_variable = name in _PLAIN or any(form.match(name) for form in (_PARAM, _POD_IP, _OUTPUT, _ITEM))
    if is_variable and (not bar or word in CONVERSIONS):
        return Known(name, word)
    first = _FIRST_WORD.match(text)
    if first and first[0] in OURS:
        return UnknownUnderOurs(text)
    return UnknownItem(text) if first and first[0] == ITEM else Foreign(text)


def tokens(text: str) -> Iterator[Token]:
    """The variables of one string, in order."""
    for match in TOKEN.finditer(text):
        literal, inner = match.groups()
        yield Literal(literal) if literal is not None else classify(inner)


class Found(msgspec.Struct, frozen=True):
    """A variable and the string that has it."""

    trail: Trail
    token: Token

    @property
    def path(self) -> str:
        """The place of the string, such as `spec.jobSpec.template.spec.args[0]`."""
        return show(self.trail)


def may_hold(text: msgspec.Raw, what: bytes = b"{{") -> bool:
    """Whether raw JSON may have the ASCII text `what` in a key or string: False for most, and far cheaper than a scan.

    True also for JSON with escapes that may stand for one of the characters.
    """
    if text is raw.ABSENT:
        return False
    as_bytes = bytes(text)
    return what in as_bytes or (b"\\u" in as_bytes and _ESCAPE.search(as_bytes) is not None)


def scan(tree: Any, path: str = "") -> Iterator[Found]:
    """Every variable in the keys and strings of a JSON tree. Needs no stack, however deeply the tree is nested."""
    stack: list[tuple[Trail, Any]] = [((None, path), tree)]
    while stack:
        trail, node = stack.pop()
        if isinstance(node, str):
            if "{{" in node:
                for token in tokens(node):
                    yield Found(trail, token)
        elif isinstance(node, dict):
            for key in node:
                if "{{" in key:
                    for token in tokens(key):
                        yield Found(trail, token)
            stack.extend(((trail, key), value) for key, value in reversed(list(node.items())))
        elif isinstance(node, list | tuple):
            stack.extend(((trail, at), value) for at, value in reversed(list(enumerate(node))))


def join(path: str, key: str) -> str:
    """`path.key`, or `path["key"]` where the key has dots or slashes."""
    key = cut(key)
    if "." in key or "/" in key:
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def cut(text: str) -> str:
    """A key or name as messages show it: not longer than 80 characters."""
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def unknown_message(name: str) -> str:
    """The message for a name under one of OURS or `item` that is no variable, with the nearest one if one is near."""
    shown = cut(name)
    variable, bar, word = name.partition("|")
    if bar and isinstance(classify(variable), Known):
        words = ", ".join(CONVERSIONS)
        return f"{{{{{shown}}}}}: no conversion is named {cut(word.strip())!r}; there are {words}"
    if variable.strip().startswith(ITEM):
        return f"{{{{{shown}}}}} is no variable; write {{{{item}}}}, or {{{{item.key.sub}}}} for a part of an object"
    near = nearest(variable.strip(), (*PLAIN, *OF_END)) or _near_in_flow(variable.strip())
    meant = f'did you mean "{near}"? There are' if near else "there are"
    return (
        f"{{{{{shown}}}}} is no variable; {meant} {', '.join(PLAIN)}, params.NAME, flows.NAME.podIP and"
        f" flows.NAME.outputs.NAME; in finally flows also {', '.join(OF_END)}"
        f" (write {{{{{{{{{shown}}}}}}}}} for the plain text)"
    )


def foreign_message(name: str) -> str:
    """The message for a name that is none of ours; if its first word is one letter off ours, with what may be meant."""
    text = f"{{{{{cut(name)}}}}} is none of our variables and stays as it is"
    first = _FIRST_WORD.match(name)
    word = first[0] if first else ""
    near = nearest(word, (*OURS_IN_ORDER, ITEM))
    return f'{text}; did you mean "{cut(near + name[len(word) :])}"?' if near else text


def _near_in_flow(name: str) -> str:
    """`flows.a.podIP` for `flows.a.podip`, `flows.a.outputs.x` for `flows.a.output.x` and the like; else empty."""
    head, _, last = name.rpartition(".")
    if nearest(last, ("podIP",)) and _POD_IP.match(f"{head}.podIP"):
        return f"{cut(head)}.podIP"
    parts = name.split(".", 3)
    meant = ".".join((*parts[:2], "outputs", *parts[3:]))
    return cut(meant) if len(parts) == 4 and nearest(parts[2], ("outputs",)) and _OUTPUT.match(meant) else ""


def nearest(word: str, words: Iterable[str]) -> str:
    """The first of `words` that is at most one letter off `word`, whatever the case of letters; empty if none is."""
    return next((other for other in words if _is_near(word.lower(), other.lower())), "")


def _is_near(one: str, other: str) -> bool:
    """Whether one letter is added, missing, changed, or swapped with the next one."""
    if abs(len(one) - len(other)) > 1 or not one or not other:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    one, other = one[start:], other[start:]
    end = 0
    while end < min(len(one), len(other)) and one[-1 - end] == other[-1 - end]:
        end += 1
    one, other = one[: len(one) - end], other[: len(other) - end]
    return (len(one) <= 1 and len(other) <= 1) or (len(one) == 2 and one == other[::-1])


def keys_of(trail: Trail) -> list[str | int]:
    """The keys of a trail, without the path that it begins with."""
    keys: list[str | int] = []
    above, key = trail
    while above is not None:
        keys.append(key)
        above, key = above
    keys.reverse()
    return keys


def show(trail: Trail) -> str:
    """A trail as text: `spec.containers[0].args`."""
    keys = keys_of(trail)
    while trail[0] is not None:
        trail = trail[0]
    path = str(trail[1])
    for key in keys:
        path = f"{path}[{key}]" if isinstance(key, int) else join(path, key)
    return path
