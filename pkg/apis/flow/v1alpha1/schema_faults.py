"""Where the fields of a manifest differ from the API types: every place, in words for the person who wrote it.

The API server says the same of a manifest that is applied, in its own words. The decoder that the controller uses stops
at the first fault, and does not look into fields that it keeps as text.
"""

from __future__ import annotations

import difflib
import enum
import functools
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import inspect

from pkg.apis.flow.v1alpha1 import durations
from pkg.apis.flow.v1alpha1.faults import Fault
from pkg.apis.flow.v1alpha1.types import CONFIG_KEY, DNS_LABEL, DNS_SUBDOMAIN

_MAX_LISTED: Final = 20
_MAX_QUOTED: Final = 64
_KINDS: Final = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
}
#: What to write instead of a text that does not match.
_PATTERNS: Final = {
    durations.PATTERN: "must be a duration such as 90s, 5m or 1h30m (units: h, m, s, ms, us, ns)",
    DNS_SUBDOMAIN: (
        'must be lower case letters, digits, "-" and ".", such as database-1, and begin and end with a letter or digit'
    ),
    CONFIG_KEY: 'must be letters, digits, "-", "_" and ".", such as licences',
    DNS_LABEL: 'must be lower case letters, digits and "-", such as train-1, and begin and end with a letter or digit',
}
#: Fields that other engines or kinds have, by what they are called here. The API has a field of the second name there.
_ELSEWHERE: Final = {
    "depends": "dependsOn",
    "dependencies": "dependsOn",
    "runAfter": "dependsOn",
    "limit": "maxRetries",
    "retries": "retry",
    "retryStrategy": "retry",
    "backoffLimit": "retry",
    "kind": "resource",
    "tasks": "flows",
    "steps": "flows",
    "templateRef": "template",
    "params": "parameters",
    "arguments": "parameters",
    "activeDeadlineSeconds": "timeout",
    "httpGet": "httpGetList",
    "tcpSocket": "tcpSocketList",
    "spec": "jobSpec",
    "succeeded": "ok",
    "failed": "fail",
}


def schema_faults(value: Any, kind: Any, path: str) -> Iterator[Fault]:
    """What is wrong with `value`, a tree as YAML or JSON gives it, as a value of the type `kind`."""
    yield from _check(value, _type_info(kind), path)


@functools.cache
def _type_info(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _check(value: Any, expected: inspect.Type, path: str) -> Iterator[Fault]:
    match expected:
        case inspect.Metadata(type=inspect.RawType(), extra={"type": kind}):
            yield from () if value is None else _check(value, _type_info(kind), path)
        case inspect.Metadata(type=inner):
            yield from _check(value, inner, path)
        case inspect.UnionType(types=types):
            yield from _either(value, types, path)
        case inspect.StructType(fields=fields):
            yield from _object(value, fields, path)
        case inspect.DictType(value_type=item):
            if (fault := _not_a(value, dict, path)) is not None:
                yield fault
                return
            for key, inner_value in value.items():
                yield from _check(inner_value, item, f"{path}.{key}")
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            yield from _list(value, item, expected.min_length, expected.max_length, path)
        case inspect.StrType():
            yield from _text(value, expected, path)
        case inspect.IntType() | inspect.FloatType():
            yield from _number(value, expected, path)
        case inspect.BoolType():
            if not isinstance(value, bool):
                yield Fault(path, f"must be true or false, without quotes{_given(value)}")
        case inspect.EnumType(cls=cls):
            yield from _one_of(value, cls, path)
        case _:
            return


def _object(value: Any, fields: tuple[inspect.Field, ...], path: str) -> Iterator[Fault]:
    known = {field.encode_name: field for field in fields}
    if (fault := _not_a(value, dict, path)) is not None:
        yield Fault(path, f"{fault.message}; its fields are {_listed(known)}")
        return
    for name in value:
        if name not in known:
            yield Fault(f"{path}.{name}", f"there is no such field; {_meant(str(name), list(known))}")
    for name, field in known.items():
        if name in value:
            yield from _check(value[name], field.type, f"{path}.{name}")
        elif field.required:
            yield Fault(f"{path}.{name}", "must be given")


def _list(value: Any, item: inspect.Type, least: int | None, most: int | None, path: str) -> Iterator[Fault]:
    if (fault := _not_a(value, list, path)) is not None:
        yield fault
        return
    if least is not None and len(value) < least:
        yield Fault(path, f"must have at least {least:,} item{'s' if least > 1 else ''}")
    if most is not None and len(value) > most:
        yield Fault(path, f"has {len(value):,} items; at most {most:,} are allowed")
    for at, one in enumerate(value):
        yield from _check(one, item, f"{path}[{at}]")


def _text(value: Any, expected: inspect.StrType, path: str) -> Iterator[Fault]:
    wanted = _PATTERNS.get(expected.pattern or "")
    if (fault := _not_a(value, str, path)) is not None:
        if wanted is not None:
            yield Fault(path, f"{wanted}{_given(value)}")
        elif isinstance(value, bool | int | float):
            words = ", or the word (y, n, yes, no, on, off) that YAML reads so" if isinstance(value, bool) else ""
            quoted = _quoted(str(msgspec.json.encode(value), "utf-8"))
            yield Fault(path, f"{fault.message}; write it in quotes: {quoted}{words}")
        else:
            yield fault
    elif expected.min_length is not None and len(value) < expected.min_length:
        yield Fault(path, "must not be empty")
    elif expected.max_length is not None and len(value) > expected.max_length:
        yield Fault(path, f"has {len(value):,} characters; at most {expected.max_length:,} are allowed")
    elif expected.pattern is not None and re.search(expected.pattern, value) is None:
        yield Fault(path, f"{wanted or f'must match the pattern {expected.pattern}'}{_given(value)}")


def _number(value: Any, expected: inspect.IntType | inspect.FloatType, path: str) -> Iterator[Fault]:
    is_whole = isinstance(expected, inspect.IntType)
    what = "a whole number" if is_whole else "a number"
    if isinstance(value, bool) or not isinstance(value, int | float) or (is_whole and value % 1 != 0):
        yield Fault(path, f"must be {what}, without quotes{_given(value)}")
    elif expected.ge is not None and value < expected.ge:
        yield Fault(path, f"must be at least {expected.ge:,}{_given(value)}")
    elif expected.le is not None and value > expected.le:
        yield Fault(path, f"must be at most {expected.le:,}{_given(value)}")


def _bare(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _either(value: Any, types: tuple[inspect.Type, ...], path: str) -> Iterator[Fault]:
    given = [one for one in types if not isinstance(one, inspect.NoneType)]
    if value is None and len(given) < len(types):
        return
    bare = [_bare(one) for one in given]
    if not any(isinstance(one, inspect.FloatType) for one in bare):
        yield from _check(value, given[0], path)
    elif any(isinstance(one, inspect.BoolType) for one in bare):
        if isinstance(value, dict | list):
            yield Fault(path, f"must be a text, a number, true, false or null{_given(value)}")
    elif any(isinstance(one, inspect.StrType) for one in bare):
        yield from _whole_or_text(value, types, path)
    else:
        yield from _number(value, next(one for one in bare if isinstance(one, inspect.FloatType)), path)


def _whole_or_text(value: Any, types: tuple[inspect.Type, ...], path: str) -> Iterator[Fault]:
    """A number that is written whole, or in quotes if it has a fraction: the API has no floats."""
    bare = [_bare(one) for one in types]
    if isinstance(value, str):
        text = next(one for one in bare if isinstance(one, inspect.StrType))
        if re.search(text.pattern or "", value) is None:
            yield Fault(path, f'must be a whole number, or a fraction in quotes such as "1.5"{_given(value)}')
    elif isinstance(value, float) and value % 1 != 0:
        yield Fault(path, f'must be a whole number, or a fraction in quotes: write "{value:g}"')
    else:
        yield from _number(value, next(one for one in bare if isinstance(one, inspect.IntType)), path)


def _one_of(value: Any, cls: type[enum.Enum], path: str) -> Iterator[Fault]:
    words = [str(member.value) for member in cls]
    if not isinstance(value, str) or value not in words:
        near = {word.lower(): word for word in words}.get(str(value).lower()) or _near(str(value), words)
        meant = f"; did you mean {near}?" if near else ""
        yield Fault(path, f"must be one of {', '.join(words)}{_given(value)}{meant}")


def _not_a(value: Any, kind: type, path: str) -> Fault | None:
    return None if isinstance(value, kind) else Fault(path, f"must be {_KINDS[kind]}{_given(value)}")


def _given(value: Any) -> str:
    """`, not 3`, or `, not a list` for what is no scalar."""
    if value is None:
        return ", not null"
    if isinstance(value, dict | list):
        return f", not {_KINDS[type(value)]}"
    return f", not {_quoted(value) if isinstance(value, str) else str(value).lower()}"


def _quoted(text: str) -> str:
    return f'"{text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 3] + "..."}"'


def _near(name: str, known: list[str]) -> str | None:
    found = difflib.get_close_matches(name[:_MAX_QUOTED].lower(), [one.lower() for one in known], n=1, cutoff=0.7)
    return next((one for one in known if found and one.lower() == found[0]), None)


def _meant(name: str, known: list[str]) -> str:
    near = _ELSEWHERE[name] if _ELSEWHERE.get(name) in known else _near(name, known)
    return f"did you mean {near}?" if near else f"the fields here are {_listed(known)}"


def _listed(names: Any) -> str:
    shown = list(names)
    return ", ".join(shown[:_MAX_LISTED]) + (" ..." if len(shown) > _MAX_LISTED else "")
