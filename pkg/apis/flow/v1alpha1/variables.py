"""Variables such as `{{workflow.name}}` in templates and patches: finding, judging and replacing them.

One scanner serves admission (what is unknown here?), the graph (whose pod address is waited for?) and rendering
(put the values in), so the three cannot disagree about what a variable is.
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
# What a JSON integer may be on its way through the API server.
_INT64: Final = range(-(2**63), 2**63)

# More than the API server takes in one object, and little enough to be made by mistake or malice without harm.
MAX_GROWTH: Final = 2_000_000

OURS: Final = frozenset({"workflow", "flow", "index", "replicas", "attempt", "params", "flows"})
PLAIN: Final = ("workflow.name", "workflow.namespace", "workflow.uid", "flow.name", "index", "replicas", "attempt")
_PLAIN: Final = frozenset(PLAIN)
# Under these keys Kubernetes wants strings, so that a value is never turned into a number or boolean.
TEXT_KEYS: Final = frozenset({"command", "args", "labels", "annotations", "nodeSelector", "matchLabels"})


# Links to the key above, down from (None, path): cheaper to carry along than a path that is rarely asked for.
_Trail = tuple[Any, ...]


class Known(msgspec.Struct, frozen=True):
    """A variable of ours, written in a form that exists: `params.epochs`, `index`, `flows.a.podIP`.

    Whether a parameter or flow of that name exists is for the caller to say.
    """

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
    """Begins with a word of ours, but is none of our variables: an error."""

    name: str


class Foreign(msgspec.Struct, frozen=True):
    """Somebody else's braces; left as they are."""

    name: str


class Literal(msgspec.Struct, frozen=True):
    """`{{{{x}}}}`, which stands for the text `{{x}}`."""

    name: str


Token = Known | UnknownUnderOurs | Foreign | Literal


class VariableError(ValueError):
    """A variable that has no value; `path` leads to the string, `text` is the variable as written."""

    def __init__(self, path: str, text: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.text = text
        self.message = message


def classify(inner: str) -> Known | UnknownUnderOurs | Foreign:
    """Judge what stands between `{{` and `}}`; blanks around it do not count."""
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
    """A variable and the place of the string that has it, such as `spec.jobSpec.template.spec.args[0]`."""

    path: str
    token: Token


def scan(tree: Any, path: str = "", *, holding: bytes = b"{{") -> Iterator[Found]:
    """Every variable in the keys and strings of a JSON tree, with its place; nesting costs no stack.

    `holding` is ASCII text without which the tree is of no interest, such as b"podIP".
    """
    if not _holds(tree, holding):
        return
    stack: list[tuple[_Trail, Any]] = [((None, path), tree)]
    while stack:
        trail, node = stack.pop()
        if isinstance(node, str):
            if "{{" in node:
                for token in tokens(node):
                    yield Found(_show(trail), token)
        elif isinstance(node, dict):
            for key in node:
                if "{{" in key:
                    for token in tokens(key):
                        yield Found(_show(trail), token)
            stack.extend(((trail, key), value) for key, value in reversed(list(node.items())))
        elif isinstance(node, list | tuple):
            stack.extend(((trail, at), value) for at, value in reversed(list(enumerate(node))))


def _holds(tree: Any, text: bytes) -> bool:
    """Whether the text is anywhere in a tree: no for most trees, and far cheaper to find out than by a scan.

    Structure cannot be mistaken for `{{`: in JSON two braces stand side by side inside of strings only.
    """
    try:
        return text in msgspec.json.encode(tree)
    except RecursionError:
        return True


def references(tree: Any) -> frozenset[str]:
    """Names of the flows whose pod address the tree asks for by `{{flows.NAME.podIP}}`."""
    return frozenset(
        flow
        for found in scan(tree, holding=b".podIP")
        if isinstance(found.token, Known) and (flow := found.token.pod_ip_of) is not None
    )


def join(path: str, key: str) -> str:
    """`path.key`, with brackets where the key has dots of its own."""
    if "." in key or "/" in key:
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


class Place(IntEnum):
    """What the keys above a string say about it."""

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
    """A fresh deep copy of a JSON tree with the values of its variables put in.

    `values` maps names (`index`, `params.epochs`, `flows.a.podIP`) to strings. A string that is one variable alone
    becomes an integer or boolean where its value is one and the place allows it. Values are not scanned again.
    Raises VariableError for a name under ours without a value, with the place below `path`, and when the values put
    in add up to more than any object may hold.
    """
    return _Filler(values).walk(tree, place, (None, path))


class _Filler:
    __slots__ = ("left", "values")

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self.left = MAX_GROWTH

    def walk(self, node: Any, place: Place, trail: _Trail) -> Any:
        kind = type(node)
        if kind is dict:
            return self.walk_object(node, place, trail)
        if kind is list or kind is tuple:
            under = inside(place)
            return [self.walk(value, under, (trail, at)) for at, value in enumerate(node)]
        if kind is str and "{{" in node:
            return self.fill(node, place, trail)
        return node

    def walk_object(self, node: dict[str, Any], place: Place, trail: _Trail) -> dict[str, Any]:
        filled: dict[str, Any] = {}
        for key, value in node.items():
            if "{{" in key:
                key = str(self.fill(key, Place.TEXT, trail))
                if key in filled or key in node:
                    raise VariableError(_show(trail), key, f"two keys become {key!r}")
            # Most values are plain: they need no place and no trail, which is half of the time of a rendering.
            if type(value) in _SCALARS or (type(value) is str and "{{" not in value):
                filled[key] = value
            else:
                filled[key] = self.walk(value, below(place, key), (trail, key))
        return filled

    def fill(self, text: str, place: Place, trail: _Trail) -> Any:
        alone = TOKEN.fullmatch(text)
        if alone is not None and alone[2] is not None:
            value = self.value(alone[2], alone[0], trail)
            return value if place is Place.TEXT else typed(value)

        def put(match: re.Match[str]) -> str:
            literal = match[1]
            return f"{{{{{literal}}}}}" if literal is not None else self.value(match[2], match[0], trail)

        return TOKEN.sub(put, text)

    def value(self, inner: str, text: str, trail: _Trail) -> str:
        name = inner.strip()
        value = self.values.get(name)
        if value is not None:
            self.left -= len(value)
            if self.left < 0:
                raise VariableError(_show(trail), text, f"the values put in exceed {MAX_GROWTH:,} characters")
            return value
        match classify(inner):
            case Foreign():
                return text
            case Known() as known:
                raise VariableError(_show(trail), text, _no_value(known))
            case UnknownUnderOurs():
                raise VariableError(_show(trail), text, unknown_message(name))


def _no_value(known: Known) -> str:
    if known.parameter is not None:
        return f"{{{{{known.name}}}}} names no parameter of the flow, the workflow or the template"
    if known.pod_ip_of is not None:
        return f"{{{{{known.name}}}}} has no pod address to stand for"
    return f"{{{{{known.name}}}}} has no value here"


def unknown_message(name: str) -> str:
    """What to tell about a name under ours that is none of our variables."""
    return (
        f"{{{{{name}}}}} is no variable; there are {', '.join(PLAIN)}, params.NAME and flows.NAME.podIP"
        f" (write {{{{{{{{{name}}}}}}}}} for the plain text)"
    )


def typed(value: str) -> str | int | bool:
    """The integer or boolean that a string spells in canonical form (integers of 64 bits), else the string itself."""
    if value == "true":
        return True
    if value == "false":
        return False
    # 20 characters hold every 64-bit integer; longer ones need no conversion to be refused.
    if len(value) <= 20 and _INTEGER.match(value):
        number = int(value)
        return number if number in _INT64 else value
    return value


def _show(trail: _Trail) -> str:
    keys: list[str | int] = []
    while trail[0] is not None:
        keys.append(trail[1])
        trail = trail[0]
    path = str(trail[1])
    for key in reversed(keys):
        path = f"{path}[{key}]" if isinstance(key, int) else join(path, key)
    return path
