"""Variables such as `{{workflow.name}}` in templates and patches: finding, classifying and replacing them.

Validation (which names are unknown?), the graph (which pod addresses are needed?) and rendering use the same
scanner, so they agree about what a variable is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, Final

import msgspec

TOKEN: Final = re.compile(r"\{\{\{\{([^{}]*)\}\}\}\}|\{\{([^{}]*)\}\}")
_FIRST_WORD: Final = re.compile(r"[A-Za-z0-9_-]*")
_PARAM: Final = re.compile(r"params\.([A-Za-z_][A-Za-z0-9_.-]*)\Z")
_POD_IP: Final = re.compile(r"flows\.([a-z0-9](?:[-a-z0-9]*[a-z0-9])?)\.podIP\Z")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
# The escapes that the API server writes for <, >, & and the two line separators are of no interest.
_ESCAPE: Final = re.compile(rb"\\u(?!003[cCeE]|0026|202[89])")
# What a JSON integer may be on its way through the API server.
_INT64: Final = range(-(2**63), 2**63)

# The API server takes at most 1.5 MiB in one object. A tree may not grow by more than this.
MAX_GROWTH: Final = 2_000_000
# A longer key is cut in paths, and a longer name in messages: both may occur once per variable.
_MAX_SHOWN: Final = 80

OURS: Final = frozenset({"workflow", "flow", "index", "replicas", "attempt", "params", "flows"})
PLAIN: Final = ("workflow.name", "workflow.namespace", "workflow.uid", "flow.name", "index", "replicas", "attempt")
_PLAIN: Final = frozenset(PLAIN)
# Values under these keys must be strings, so they are never converted to numbers or booleans.
TEXT_KEYS: Final = frozenset({"command", "args", "labels", "annotations", "nodeSelector", "matchLabels"})


# (trail of the parent, key), down to (None, path). Cheaper than a path as text, which is rarely needed.
Trail = tuple[Any, ...]


class Known(msgspec.Struct, frozen=True):
    """A variable that exists, or would if its parameter or flow does: `params.epochs`, `index`, `flows.a.podIP`."""

    name: str

    @property
    def parameter(self) -> str | None:
        """`epochs` of `params.epochs`; None for any other variable."""
        return self.name[7:] if self.name.startswith("params.") else None

    @property
    def pod_ip_of(self) -> str | None:
        """`a` of `flows.a.podIP`; None for any other variable."""
        return self.name[6:-6] if self.name.startswith("flows.") else None


class UnknownUnderOurs(msgspec.Struct, frozen=True):
    """A name whose first word is one of OURS, but which is no variable: an error."""

    name: str


class Foreign(msgspec.Struct, frozen=True):
    """Braces that are not ours, such as those of Helm; left as they are."""

    name: str


class Literal(msgspec.Struct, frozen=True):
    """`{{{{x}}}}`, which stands for the text `{{x}}`."""

    name: str


Token = Known | UnknownUnderOurs | Foreign | Literal


class VariableError(ValueError):
    """A variable cannot be replaced; `path` leads to the string, `text` is the variable as written."""

    def __init__(self, path: str, text: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.text = text
        self.message = message


def classify(inner: str) -> Known | UnknownUnderOurs | Foreign:
    """What the text between `{{` and `}}` is; blanks around it do not count."""
    name = inner.strip()
    if name in _PLAIN or _PARAM.match(name) or _POD_IP.match(name):
        return Known(name)
    first = _FIRST_WORD.match(name)
    if first and first[0] in OURS:
        return UnknownUnderOurs(name)
    return Foreign(name)


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
    as_bytes = bytes(text)
    return what in as_bytes or _ESCAPE.search(as_bytes) is not None


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


class Place(IntEnum):
    """What the keys above a string say about it: whether a value there may become a number or boolean."""

    PLAIN = 0
    ENV_LIST = 1
    ENV_ITEM = 2
    TEXT = 3


def below(place: Place, key: str) -> Place:
    """The place under a key of an object."""
    if place is Place.TEXT or key in TEXT_KEYS:
        return Place.TEXT
    if key == "env":
        return Place.ENV_LIST
    return Place.TEXT if place is Place.ENV_ITEM and key == "value" else Place.PLAIN


def inside(place: Place) -> Place:
    """The place of the items of a list."""
    if place is Place.TEXT:
        return Place.TEXT
    return Place.ENV_ITEM if place is Place.ENV_LIST else Place.PLAIN


_SCALARS: Final = frozenset({bool, int, float, type(None)})


def substitute(tree: Any, values: Mapping[str, str], path: str = "", place: Place = Place.PLAIN) -> Any:
    """A deep copy of a JSON tree with its variables replaced by their values.

    `values` maps names (`index`, `params.epochs`, `flows.a.podIP`) to strings. A string that is one variable alone
    becomes an integer or boolean if its value is one and the place allows it. Variables in values stay.
    Raises VariableError, with a place below `path`, for a name under one of OURS that has no value, and when the values
    add up to more than MAX_GROWTH characters. Raises RecursionError for a tree that is nested far beyond raw.MAX_DEPTH.
    """
    return _Filler(values).walk(tree, place, (None, path))


class _Filler:
    __slots__ = ("left", "values")

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self.left = MAX_GROWTH

    def walk(self, node: Any, place: Place, trail: Trail) -> Any:
        kind = type(node)
        if kind is dict:
            return self.walk_object(node, place, trail)
        if kind is list or kind is tuple:
            under = inside(place)
            filled = []
            for at, value in enumerate(node):  # a comprehension would take one more stack frame per level
                filled.append(self.walk(value, under, (trail, at)))
            return filled
        if kind is str and "{{" in node:
            return self.fill(node, place, trail)
        return node

    def walk_object(self, node: dict[str, Any], place: Place, trail: Trail) -> dict[str, Any]:
        filled: dict[str, Any] = {}
        for key, value in node.items():
            if "{{" in key:
                written, key = key, str(self.fill(key, Place.TEXT, trail))
                if key in filled or (key != written and key in node):
                    raise VariableError(show(trail), key, f"two keys become {cut(key)!r}")
            # Most values have no variable. Leaving them out here halves the time of a rendering.
            if type(value) in _SCALARS or (type(value) is str and "{{" not in value):
                filled[key] = value
            elif type(value) is dict:
                filled[key] = self.walk_object(value, below(place, key), (trail, key))
            else:
                filled[key] = self.walk(value, below(place, key), (trail, key))
        return filled

    def fill(self, text: str, place: Place, trail: Trail) -> Any:
        alone = TOKEN.fullmatch(text)
        if alone is not None and alone[2] is not None:
            value = self.value(alone[2], alone[0], trail)
            return value if place is Place.TEXT else typed(value)

        def put(match: re.Match[str]) -> str:
            literal = match[1]
            return f"{{{{{literal}}}}}" if literal is not None else self.value(match[2], match[0], trail)

        return TOKEN.sub(put, text)

    def value(self, inner: str, text: str, trail: Trail) -> str:
        name = inner.strip()
        value = self.values.get(name)
        if value is not None:
            self.left -= len(value)
            if self.left < 0:
                raise VariableError(show(trail), text, f"the values put in exceed {MAX_GROWTH:,} characters")
            return value
        match classify(inner):
            case Foreign():
                return text
            case Known() as known:
                raise VariableError(show(trail), text, _no_value(known))
            case UnknownUnderOurs():
                raise VariableError(show(trail), text, unknown_message(name))


def _no_value(known: Known) -> str:
    if known.parameter is not None:
        return f"{{{{{cut(known.name)}}}}} names no parameter of the flow, the workflow or the template"
    if known.pod_ip_of is not None:
        return f"{{{{{cut(known.name)}}}}} has no pod address to stand for"
    return f"{{{{{cut(known.name)}}}}} has no value here"


def unknown_message(name: str) -> str:
    """The message for a name under one of OURS that is no variable."""
    name = cut(name)
    return (
        f"{{{{{name}}}}} is no variable; there are {', '.join(PLAIN)}, params.NAME and flows.NAME.podIP"
        f" (write {{{{{{{{{name}}}}}}}}} for the plain text)"
    )


def typed(value: str) -> str | int | bool:
    """The integer (of 64 bits) or boolean whose canonical form the string is, else the string itself."""
    if value == "true":
        return True
    if value == "false":
        return False
    # Every 64-bit integer has at most 20 characters.
    if len(value) <= 20 and _INTEGER.match(value):
        number = int(value)
        return number if number in _INT64 else value
    return value


def show(trail: Trail) -> str:
    """A trail as text: `spec.containers[0].args`."""
    keys: list[str | int] = []
    while trail[0] is not None:
        keys.append(trail[1])
        trail = trail[0]
    path = str(trail[1])
    for key in reversed(keys):
        path = f"{path}[{key}]" if isinstance(key, int) else join(path, key)
    return path
