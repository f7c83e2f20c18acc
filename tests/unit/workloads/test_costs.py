"""The bound of an expression's cost holds for whatever hypothesis writes, and grows where it should."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import event, given, reject, settings
from hypothesis import strategies as st

from pkg.workloads.cel_tree import Call, Const, Loop, MakeList, Name, Node, Select, decode
from pkg.workloads.costs import Estimate, estimate
from pkg.workloads.expressions import compile_expression, evaluate
from pkg.workloads.extents import Growth
from pkg.workloads.look import ENV, Look
from pkg.workloads.model import RuleError, RuleFault
from pkg.workloads.projection import Projection, Size
from tests.unit.workloads.builders import job
from tests.unit.workloads.cel_counter import Counter, EvaluationError


def of(text: str) -> Estimate:
    return estimate(decode(ENV.compile(text).serialize()), text)


ITEMS = "object.status.l"


@pytest.mark.parametrize(
    ("text", "weight", "longest", "items"),
    [
        pytest.param("object.status.a == 1", 0, 0, 0, id="a comparison to a literal costs the same for any object"),
        pytest.param("object.status.a == object.status.b", 1, 0, 0, id="a comparison of two values: the smaller one"),
        pytest.param("1 in object.status.l", 0, 0, 2, id="in looks at each item"),
        pytest.param("object.status.a in object.status.l", 1, 1, 1, id="in a list of lists looks at everything once"),
        pytest.param("size(object.status.l) == 1", 0, 1, 0, id="size counts the characters of a text"),
        pytest.param("object.status.a + object.status.b == 1", 2, 4, 0, id="a sum of unknown types copies both"),
        pytest.param("object.status.a.contains('a')", 0, 8.04, 0, id="contains goes through the text"),
        pytest.param("duration(object.status.a) == duration('1s')", 0, 16, 0, id="a duration has many short parts"),
        pytest.param("timestamp(object.status.a) != timestamp('2020-01-01T00:00:00Z')", 0, 3, 0, id="a time has few"),
        pytest.param("int(object.status.a) == 1", 0, 2, 0, id="a number is read digit by digit"),
        pytest.param("object.status.a.matches('abc')", 0, 96, 0, id="each character of a pattern costs at each byte"),
        pytest.param("[1, 2].exists(x, x == 3)", 0, 0, 0, id="a loop over a literal has a fixed cost"),
        pytest.param("[object.status.l].exists(x, x == [])", 0, 0, 0, id="of which only a literal is compared"),
        pytest.param("[object.status.l, object.status.l].exists(x, x == x)", 2, 0, 0, id="or all of it, twice"),
        pytest.param("object.status.l.exists(x, x == x)", 1, 0, 14, id="a loop: each item, and each value in it once"),
        pytest.param("object.status.l.exists(x, x == 3)", 0, 0, 15, id="a loop with a comparison to a literal"),
        pytest.param("object.status.l.exists(x, x == object.metadata.generation)", 0, 0, 17, id="or to a short value"),
        pytest.param("object.status.l.exists(x, has(object.status.a.b))", 0, 0, 15, id="or with a test of a field"),
        pytest.param("[object.status.l][0].exists(x, x == 3)", 0, 0, 15, id="a loop over what a literal holds"),
        pytest.param("{'a': object.status.l}.a.exists(x, x == 3)", 0, 0, 15, id="or a map"),
        pytest.param("(object.status.b ? [1] : object.status.l).exists(x, x == 3)", 0, 0, 15, id="or a choice"),
        pytest.param("(object.status.l + object.status.l).exists(x, x == 3)", 2, 4, 30, id="or a sum"),
    ],
)
def test_what_the_cost_grows_with(text: str, weight: float, longest: float, items: float) -> None:
    steps = of(text + (" || object == 1" if "object" not in text else "")).steps
    assert (steps.weight, steps.text, steps.items) == pytest.approx((weight, longest, items))


def test_the_cost_of_sums_grows_with_their_tree() -> None:
    def tree(leaves: int) -> str:
        return "x" if leaves == 1 else f"({tree(leaves // 2)} + {tree(leaves - leaves // 2)})"

    costs = [of(f"{ITEMS}.exists(x, {tree(leaves)} == [])").steps.weight for leaves in (2, 4, 8, 16)]
    assert all(later > 2 * earlier - 30 for earlier, later in pairwise(costs))
    lists = ",".join([ITEMS] * 10)
    assert of(f"[{lists}].exists(x, {tree(16)} == [])").steps.weight > 10 * 100


def test_the_costliest_part_is_quoted() -> None:
    expression = compile_expression(f"size({ITEMS}) > 2 && {ITEMS}.exists(x, x == 1)", where="here")
    assert expression.costliest.startswith("exists(x, x == 1)")


def test_the_tree_of_an_expression_is_decoded() -> None:
    text = "object.a.exists(x, x > -7) && has(object.b) && object.c in ['é', b'\\xff', 1.5, 2u, null, true]"
    root = decode(ENV.compile(text).serialize()).root
    assert isinstance(root, Call)
    assert root.overloads == ("logical_and",)
    loops, fields, literals = [], [], []
    left: list[Node] = [root]
    while left:
        node = left.pop()
        match node:
            case Call():
                left.extend(node.arguments)
            case Loop():
                loops.append(node.variable)
                left.extend((node.over, node.start, node.condition, node.step, node.result))
            case Select():
                fields.append((node.field, node.is_test))
            case Const():
                literals.append(node.value)
            case Name():
                pass
            case MakeList():
                left.extend(node.items)
    assert loops == ["x"]
    assert set(fields) == {("a", False), ("b", True), ("c", False)}
    assert {"é", b"\xff", 1.5, 2, None, True, -7} <= set(literals)


@pytest.mark.parametrize("data", [b"", b"\x0a", b"\x12\x02\x22", b"\x0f", b"\x12\x04\x22\x02\x10\x01"])
def test_data_of_another_form_is_no_tree(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"node|wire|number|ends"):
        decode(data)


# Expressions that hypothesis writes, as text. Outside of macros they read the object, inside of them their variable.

OUTSIDE = ("object.status.a", "object.status.b", "object.status.l", "object.status.l[0]", "object.status.m.a")
INSIDE = ("x", "x.a", "x.b[0]", "x['a']")
LITERALS = ("1", "2.0", "'a'", "'ab'", "true", "null", "[]", "{}", "'" + "a" * 100 + "'")
FORMS = (
    *(f"({{0}} {sign} {{1}})" for sign in ("==", "!=", "<", ">", "+", "*", "in", "&&", "||")),
    *("!({0})", "size({0})", "dyn({0})", "(type({0}) == string)", "[{0}, {1}]", "{{'a': {0}}}"),
    *(
        "dyn([{0}, {1}][0])",
        "dyn({{'a': {0}}}.a)",
        "dyn({0}).contains('ab')",
        "dyn({0}).startsWith('a')",
        "({0} ? dyn({1}) : dyn({2}))",
    ),
)
MACROS = (
    *(f"dyn({{0}}).{macro}(x, {{body}})" for macro in ("exists", "all", "exists_one")),
    *("dyn({0}).matches('^a+b')", "has({place}.a)"),
)


@st.composite
def expressions(draw: st.DrawFn, places: tuple[str, ...] = OUTSIDE, depth: int = 3) -> str:
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from((*places, *places, *LITERALS)))
    form = draw(st.sampled_from((*FORMS, *MACROS, *MACROS) if places is OUTSIDE else FORMS))
    parts = [draw(expressions(places, depth - 1)) if f"{{{number}}}" in form else "" for number in range(3)]
    body = draw(expressions(INSIDE, 2)) if "{body}" in form else ""
    return form.format(*parts, body=body, place=draw(st.sampled_from(places)))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from([1.5, 2.0, "", "a", "ab", "aab", "a" * 300]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
        | st.tuples(inner, st.integers(2, 12)).map(lambda many: [many[0]] * many[1])
    ),
    max_leaves=12,
)
LISTS = st.tuples(st.lists(VALUES, max_size=6), st.integers(1, 40)).map(lambda many: many[0] * many[1])
STATUSES = st.fixed_dictionaries({"l": LISTS, "a": VALUES | LISTS}, optional=dict.fromkeys(("b", "m"), VALUES))


@settings(max_examples=200, deadline=None)
@given(text=expressions(), status=STATUSES)
def test_no_evaluation_takes_more_than_its_estimate(text: str, status: dict[str, Any]) -> None:
    try:
        expression = compile_expression(text, where="here")
    except RuleError:
        reject()  # not admitted, for its types or its cost
    seen = job(status)
    projection = Projection(expression.estimate.reads)
    try:
        part, size = projection.of(seen)
    except RuleFault:
        reject()  # larger than what is shown
    counter = Counter(part)
    try:
        counted: Any = counter.evaluate(decode(ENV.compile(text).serialize()).root)
    except EvaluationError:
        counted = None
    bound = expression.estimate.steps.at(size)
    event(f"used {min(1.0, counter.steps / bound):.1f} of the bound")
    assert counter.steps <= bound
    try:
        found: Any = evaluate(expression, projection, where="here")(Look(seen)) is not None
    except RuleFault:
        found = None
    if isinstance(counted, bool) and found is not None:
        assert found is counted
    else:
        assert found is None
        assert not isinstance(counted, bool)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        pytest.param(f"{ITEMS}.exists(x, x == 7)", {"l": [1] * 900}, id="a loop over numbers"),
        pytest.param(f"{ITEMS}.all(x, x.a.b < 7)", {"l": [{"a": {"b": 1}}] * 300}, id="a loop over maps"),
        pytest.param(f"{ITEMS}.exists_one(x, x == x)", {"l": [[1] * 30] * 30}, id="a loop over lists"),
        pytest.param(f"[{ITEMS}, {ITEMS}].all(x, x == x)", {"l": [1] * 900}, id="a loop over a literal"),
        pytest.param(f"{ITEMS}.exists(x, x + x == [])", {"l": [[1] * 30] * 30}, id="sums in a loop"),
        pytest.param(f"{ITEMS} + {ITEMS} + {ITEMS} == []", {"l": [1] * 900}, id="sums of lists"),
        pytest.param(f"{ITEMS} + {ITEMS} + {ITEMS} == ''", {"l": "a" * 64_000}, id="sums of texts"),
        pytest.param(f"7 in {ITEMS} || 8 in {ITEMS}", {"l": [1] * 900}, id="in"),
        pytest.param(f"object.status.a in {ITEMS}", {"l": [[1] * 30] * 30, "a": [2] * 30}, id="in a list of lists"),
        pytest.param(f"{ITEMS} == object.status.a", {"l": [1] * 900, "a": [1] * 900}, id="equality"),
        pytest.param(f"[{ITEMS}][0].exists(x, x == 7)", {"l": [1] * 900}, id="a loop over what a literal holds"),
        pytest.param(f"({ITEMS} + {ITEMS}).exists(x, x == 7)", {"l": [1] * 900}, id="a loop over a sum"),
    ],
)
def test_the_estimate_is_above_what_is_counted_and_not_far_above(text: str, status: dict[str, Any]) -> None:
    expression = compile_expression(text, where="here")
    part, size = Projection(expression.estimate.reads).of(job(status))
    counter = Counter(part)
    counter.evaluate(decode(ENV.compile(text).serialize()).root)
    bound = expression.estimate.steps.at(size)
    assert counter.steps <= bound <= 4 * counter.steps


def test_growth_is_a_linear_function() -> None:
    assert Growth(1, 2, 3, 4).at(Size(weight=10, text=100, items=1000)) == 4321
    assert Growth(1, 2, 3, 4).plus(Growth(1), Growth(0, 1)) == Growth(2, 3, 3, 4)
    assert Growth(1, 2, 3, 4).times(2) == Growth(2, 4, 6, 8)
