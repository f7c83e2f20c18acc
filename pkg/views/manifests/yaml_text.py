"""Reads YAML as kubectl does, with positions: dates stay text, `1:30` is no number, and a key may occur once."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import yaml

from pkg.apis.flow.v1alpha1.raw import MAX_DEPTH, TOO_DEEP
from pkg.views.manifests.nodes import MERGE, Alias, ManifestError, Mapping, Node, Position, Scalar, Sequence

# The reader in C is about twenty times faster. It is in all wheels of PyYAML.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAG: Final = "tag:yaml.org,2002:"
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS: Final = {
    word: value
    for value, words in ((True, ("y", "yes", "true", "on")), (False, ("n", "no", "false", "off")))
    for word in (form for one in words for form in (one, one.capitalize(), one.upper()))
}
_INTEGER: Final = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|[0-9][0-9_]*)\Z")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")

T = TypeVar("T")


def read_yaml(text: str) -> Iterator[Node]:
    """The documents of a text, empty ones left out. Raises ManifestError where the text is no YAML."""
    try:
        yield from _documents(yaml.parse(text, _LOADER))
    except yaml.reader.ReaderError as error:
        raise ManifestError(_place(text, error), f"the character {_named(error)} must not be in YAML") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = _position(mark) if mark is not None else Position(1, 1)
        raise ManifestError(at, f"this is no YAML: {_words(error)}{_hint(text, at)}") from error
    except yaml.YAMLError as error:
        raise ManifestError(Position(1, 1), f"this is no YAML: {' '.join(str(error).split())}") from error


def _place(text: str, error: yaml.reader.ReaderError) -> Position:
    before = text.encode("utf-8", "surrogatepass")[: error.position].decode("utf-8", "replace")
    if _LOADER is yaml.SafeLoader:
        before = text[: error.position]
    return Position(1 + before.count("\n"), 1 + len(before) - (before.rfind("\n") + 1))


def _named(error: yaml.reader.ReaderError) -> str:
    code = error.character
    return f"U+{code if isinstance(code, int) else ord(code[:1]):04X}"


def _words(error: yaml.MarkedYAMLError) -> str:
    problem = " ".join(str(error.problem or "").split())
    if not error.context:
        return problem
    begun = error.context_mark
    where = (
        f", which begins at {_position(begun)}" if begun is not None and "while scanning a q" in error.context else ""
    )
    return f"{problem} ({error.context}{where})"


def _hint(text: str, at: Position) -> str:
    lines = text.splitlines()
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    if line[at.column - 1 : at.column] == "\t":
        return "; this is a tab: indent with spaces"
    return ""


def _position(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)


class _Open:
    """An object or list that has not ended. key: of the object's next value."""

    def __init__(self, node: Mapping | Sequence) -> None:
        self.node = node
        self.key: Scalar | None = None

    def add(self, node: Node) -> None:
        if isinstance(self.node, Sequence):
            self.node.items.append(node)
        elif self.key is None:
            self.key = _key(node)
        else:
            self.node.entries.append((self.key, node))
            self.key = None


def _documents(events: Iterator[Any]) -> Iterator[Node]:
    anchors: dict[str, Scalar | Mapping | Sequence] = {}
    stack: list[_Open] = []
    root: Node | None = None
    for event in events:
        node: Node
        match event:
            case yaml.DocumentStartEvent():
                anchors, stack, root = {}, [], None
                continue
            case yaml.DocumentEndEvent():
                if root is not None and not (isinstance(root, Scalar) and root.value is None):
                    yield root
                continue
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                stack.pop()
                continue
            case yaml.AliasEvent():
                if event.anchor not in anchors:
                    raise ManifestError(_position(event.start_mark), f"no anchor is named &{event.anchor} before this")
                node = Alias(_position(event.start_mark), anchors[event.anchor])
            case yaml.ScalarEvent():
                node = _scalar(event)
            case yaml.SequenceStartEvent():
                _refuse_tag(event, "seq")
                node = Sequence(_position(event.start_mark))
            case yaml.MappingStartEvent():
                _refuse_tag(event, "map")
                node = Mapping(_position(event.start_mark))
            case _:
                continue
        if not isinstance(node, Alias) and event.anchor:
            anchors[event.anchor] = node
        if stack:
            stack[-1].add(node)
        else:
            root = node
        if isinstance(node, Sequence | Mapping):
            if len(stack) >= MAX_DEPTH:
                raise ManifestError(node.at, TOO_DEEP)
            stack.append(_Open(node))


def _refuse_tag(event: Any, wanted: str) -> None:
    if event.tag not in (None, "!", f"{_TAG}{wanted}"):
        raise ManifestError(_position(event.start_mark), f"a manifest must not have the tag {_shown(event.tag)}")


def _shown(tag: str) -> str:
    return f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag


def _key(node: Node) -> Scalar:
    """A key as text, as JSON has it."""
    target = node.target if isinstance(node, Alias) else node
    if not isinstance(target, Scalar):
        raise ManifestError(
            node.at, "a key must be text, not an object or a list; put a text that begins with a brace in quotes"
        )
    value = target.value
    if isinstance(value, bool):
        value = "true" if value else "false"
    return Scalar(node.at, "null" if value is None else str(value), target.is_merge)


def _scalar(event: Any) -> Scalar:
    at, text, tag = _position(event.start_mark), event.value, event.tag
    if tag is None and event.implicit[0]:
        return Scalar(at, plain(text), is_merge=text == MERGE)
    if tag is None or tag in ("!", f"{_TAG}str"):
        return Scalar(at, text)
    if tag == f"{_TAG}merge":
        return Scalar(at, MERGE, is_merge=True)
    read = _READERS.get(tag.removeprefix(_TAG))
    if read is None:
        raise ManifestError(at, f"a manifest must not have the tag {_shown(tag)}")
    try:
        return Scalar(at, read(text))
    except (ValueError, KeyError) as error:
        raise ManifestError(at, f'"{text[:64]}" is not what its tag {_shown(tag)} says') from error


def plain(text: str) -> Any:
    """The value of a text without quotes and tag: `yes` and `y` are true, as in YAML 1.1."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if text[0] in "-+.0123456789":
        # kubectl takes each `_` out of what begins as a number, fractions included: 1_0e3 is 10000.
        number = text if text[0] == "." else text.replace("_", "")
        for pattern, read, found in (
            (_INTEGER, _integer, text),
            (_FLOAT, _fraction, number),
            (_INFINITE, _infinite, text),
        ):
            if pattern.match(found):
                try:
                    return read(found)
                except ValueError:
                    continue
    return text


def _fraction(text: str) -> float:
    """ValueError if it is too large for a number, as 12e4567 is: it stays a text."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    sign = -1 if digits[0] == "-" else 1
    digits = digits.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits.isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)


def _infinite(text: str) -> float:
    return float(text.replace(".", "", 1))


def _null(text: str) -> None:
    if text not in _NULLS:
        raise ValueError(text)


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "int": _integer,
    "float": lambda text: _infinite(text) if _INFINITE.match(text) else _fraction(text),
    "bool": _BOOLS.__getitem__,
    "null": _null,
    "binary": lambda text: base64.b64encode(base64.b64decode(text)).decode(),
    "timestamp": str,
}
