"""Bases of the structs in modules that can be compiled.

mypyc drops the keywords of a class (`frozen=True` and the like) where it compiles it. A struct of such a module has a
base from here with the same keywords, from which msgspec takes them. This module itself is never compiled.
"""

from __future__ import annotations

import msgspec


class Value(msgspec.Struct, frozen=True, gc=False):
    """A frozen value that can be in no cycle, so that the garbage collector need not know it."""


class OrderedValue(msgspec.Struct, frozen=True, gc=False, order=True):
    """The same, and it compares field by field."""


class Frozen(msgspec.Struct, frozen=True):
    """A frozen value."""


def is_equal(one: object, other: object) -> bool:
    """Whether two structs have the same values.

    Compiled, `==` between two structs of compiled modules asks whether they are the same object, because mypyc does not
    see how their base compares. This function is not compiled.
    """
    return one == other
