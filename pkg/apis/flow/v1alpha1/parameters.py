"""The values of parameters: those of the flow over those of the workflow over those of the template.

A value may hold variables. `{{params.X}}` in it means X of a scope further out: in a value of the flow that of the
workflow or template, in a value of the workflow that of the template. So no value can lead back to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from pkg.apis.flow.v1alpha1 import variables
from pkg.apis.flow.v1alpha1.substitution import MAX_GROWTH, fill_text, no_value
from pkg.apis.flow.v1alpha1.types import Parameters
from pkg.apis.flow.v1alpha1.variables import Known, VariableError, cut

#: Whose parameters a scope has, from the outermost to the innermost.
TEMPLATE: Final = 0
WORKFLOW: Final = 1
FLOW: Final = 2
_OWNERS: Final = ("the template", "the workflow", "the flow")
#: More scopes than there are: every scope counts.
ALL: Final = 3


class Given(msgspec.Struct, frozen=True):
    """One parameter as it is given: in which scope, at which position of its list, and its value as written."""

    scope: int
    position: int
    name: str
    value: str

    @property
    def has_variables(self) -> bool:
        return "{{" in self.value


class Scopes:
    """Parameters of template, workflow and flow. Each is given as they are written; some may be left out."""

    def __init__(self, template: Parameters = (), workflow: Parameters = (), flow: Parameters = ()) -> None:
        self._by_name = tuple(_index(scope, given) for scope, given in enumerate((template, workflow, flow)))
        #: Names that the template has without a default, so that a flow or the workflow must give a value.
        self.required: frozenset[str] = frozenset(one.name for one in template if one.value is None)

    def find(self, name: str, below: int = ALL) -> Given | None:
        """The parameter that counts; `below`: only scopes further out than this one."""
        for scope in range(below - 1, -1, -1):
            found = self._by_name[scope].get(name)
            if found is not None:
                return found
        return None

    def names(self, below: int = ALL) -> Iterator[str]:
        """The names of all parameters in scopes further out than `below`."""
        for scope in self._by_name[:below]:
            yield from scope

    def with_flow(self, flow: Parameters) -> Scopes:
        """The same template and workflow with the parameters of a flow."""
        other = Scopes.__new__(Scopes)
        other._by_name = (*self._by_name[:FLOW], _index(FLOW, flow))
        other.required = self.required
        return other


def _index(scope: int, parameters: Parameters) -> Mapping[str, Given]:
    found: dict[str, Given] = {}
    for one in given(scope, parameters):
        found[one.name] = one
    return found


def given(scope: int, parameters: Parameters) -> Sequence[Given]:
    """The parameters of one scope that have a value. One without a value only says that the name exists."""
    return tuple(
        Given(scope, position, one.name, one.value) for position, one in enumerate(parameters) if one.value is not None
    )


class Use(msgspec.Struct, frozen=True):
    """A variable in a value; `by` is the parameter whose value it is."""

    token: Known
    by: Given


def variables_in(value: str) -> tuple[Known, ...]:
    """The variables in a value, each name once."""
    return tuple({token.name: token for token in variables.tokens(value) if isinstance(token, Known)}.values())


def reached(
    names: Iterable[str], scopes: Scopes, read: Callable[[str], tuple[Known, ...]] = variables_in
) -> Iterator[Use]:
    """The variables in the values of the named parameters, and in the values that these use in turn.

    `read` gives the variables in a value, for callers that remember them.
    """
    seen: set[tuple[int, str]] = set()
    left: list[tuple[str, int]] = [(name, ALL) for name in names]
    while left:
        name, below = left.pop()
        found = scopes.find(name, below)
        if found is None or (found.scope, found.name) in seen:
            continue
        seen.add((found.scope, found.name))
        if not found.has_variables:
            continue
        for token in read(found.value):
            yield Use(token, found)
            if token.parameter is not None and token.parameter != found.name:
                left.append((token.parameter, found.scope))


def counted(names: Iterable[str], scopes: Scopes) -> set[tuple[int, str]]:
    """Scope and name of every parameter whose value is put in somewhere if `names` are used."""
    names = tuple(names)
    found = {(one.scope, one.name) for name in names if (one := scopes.find(name)) is not None}
    for use in reached(names, scopes):
        if use.token.parameter is not None:
            one = scopes.find(use.token.parameter, use.by.scope)
            if one is not None:
                found.add((one.scope, one.name))
    return found


def missing_message(name: str, scopes: Scopes, by: Given | None = None, *, suggest: bool = True) -> str:
    """The message for `params.NAME` that has no value; `by`: in the value of this parameter; `suggest`: with a similar
    name.
    """
    shown = cut(name)
    below = ALL if by is None else by.scope
    if by is not None and by.name == name:
        text = f'the value of parameter "{shown}" uses params.{shown}, which is itself; give one of them another name'
    elif by is not None and by.scope == TEMPLATE:
        text = f"params.{shown} has no value here: a default of the template can use no other parameter"
    elif by is not None:
        where = "the template" if by.scope == WORKFLOW else "the workflow and the template"
        text = f'no parameter is named "{shown}" in {where}, and a value of {_OWNERS[by.scope]} can use only these'
    elif name in scopes.required:
        return f'parameter "{shown}" of the template has no default; give it a value in the flow or in spec.parameters'
    else:
        text = f'no parameter is named "{shown}"; give it in the flow, in spec.parameters or in the template'
    is_itself = by is not None and by.name == name
    near = "" if is_itself or not suggest else variables.nearest(name, scopes.names(below))
    return f'{text}; did you mean "{cut(near)}"?' if near else text


class Plain(Protocol):
    """The values of variables that are no parameters, by name."""

    def get(self, name: str, /) -> str | None:
        """The value, or None. Raises ItemError."""


class Resolved:
    """The values of all variables of one job. Values of parameters are made when they are first asked for.

    `plain`: the variables that are no parameters; `paths`: where the lists of the three scopes are, for messages.
    """

    def __init__(self, plain: Plain, scopes: Callable[[], Scopes], paths: tuple[str, str, str]) -> None:
        self._plain = plain
        self._load = scopes
        self._scopes: Scopes | None = None
        self._paths = paths
        self._made: dict[tuple[int, str], str] = {}
        self._left = MAX_GROWTH

    @property
    def scopes(self) -> Scopes:
        if self._scopes is None:
            self._scopes = self._load()
        return self._scopes

    def get(self, name: str, /) -> str | None:
        """The value, or None. Raises VariableError if the value of a parameter cannot be made."""
        found = self._plain.get(name)
        if found is not None or not name.startswith("params."):
            return found
        return self.parameter(name[7:], ALL)

    def hint(self, known: Known, /) -> str:
        """Why a variable that exists has no value, in words that follow its name."""
        if known.parameter is None:
            return no_value(known)
        return f"has no value: {missing_message(known.parameter, self.scopes)}"

    def parameter(self, name: str, below: int) -> str | None:
        """The value of a parameter as scopes further out than `below` give it."""
        found = self.scopes.find(name, below)
        if found is None or not found.has_variables:
            return None if found is None else found.value
        key = (found.scope, name)
        if key not in self._made:
            path = f"{self._paths[found.scope]}[{found.position}].value"
            value = fill_text(found.value, _Outer(self, self._plain, found), path)
            self._left -= len(value)
            if self._left < 0:
                raise VariableError(path, cut(name), f"the values of parameters exceed {MAX_GROWTH:,} characters")
            self._made[key] = value
        return self._made[key]


class _Outer:
    """The values that the value of a parameter can use."""

    def __init__(self, all_values: Resolved, plain: Plain, by: Given) -> None:
        self._all = all_values
        self._plain = plain
        self._by = by

    def get(self, name: str, /) -> str | None:
        if not name.startswith("params."):
            return self._plain.get(name)
        return None if name[7:] == self._by.name else self._all.parameter(name[7:], self._by.scope)

    def hint(self, known: Known, /) -> str:
        if known.parameter is None:
            return no_value(known)
        return f"has no value: {missing_message(known.parameter, self._all.scopes, self._by)}"
