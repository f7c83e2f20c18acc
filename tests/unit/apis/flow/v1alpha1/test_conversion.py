"""Which type a value gets that stands alone: the table, and what no conversion ever touches."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.apis.flow.v1alpha1 import conversion, schema
from pkg.apis.flow.v1alpha1.conversion import ConversionError
from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Node, Schema, Type
from pkg.apis.flow.v1alpha1.substitution import Places, Plain, SchemaNeeded, substitute
from pkg.apis.flow.v1alpha1.variables import VariableError

LEAVES = {
    "text": Type.STRING,
    "count": Type.INTEGER,
    "small": Type.INTEGER_32,
    "share": Type.NUMBER,
    "on": Type.BOOLEAN,
    "port": Type.INT_OR_STRING,
    "free": Type.ANY,
}
SPEC = Node(
    Type.OBJECT,
    {
        **{name: Node(kind) for name, kind in LEAVES.items()},
        "list": Node(Type.ARRAY, others=Node(Type.STRING)),
        "map": Node(Type.OBJECT, others=Node(Type.INTEGER)),
        "args": Node(Type.ARRAY, others=Node(Type.INTEGER)),
        "props": "Props",
        "lost": "Lost",
    },
)
KIND = Schema(
    Node(Type.OBJECT, {"spec": SPEC}),
    {"Props": Node(Type.OBJECT, {"count": Node(Type.INTEGER)}, others="Props")},
)


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        pytest.param(["spec", "count"], Type.INTEGER, id="a field"),
        pytest.param(["spec", "list", 0], Type.STRING, id="an item of a list"),
        pytest.param(["spec", "list", "-"], Type.STRING, id="the end of a list in a JSON pointer"),
        pytest.param(["spec", "list", "7"], Type.STRING, id="a position in a JSON pointer"),
        pytest.param(["spec", "list", "x"], Type.ANY, id="a list has no fields"),
        pytest.param(["spec", "list"], Type.ARRAY, id="the list itself"),
        pytest.param(["spec", "map", "any key"], Type.INTEGER, id="a value of a map"),
        pytest.param(["spec", "nope", "count"], Type.ANY, id="below a field that the schema lacks"),
        pytest.param(["spec", *["props"] * 50, "count"], Type.INTEGER, id="a part that holds itself, 50 levels down"),
        pytest.param(["spec", "lost", "x"], Type.ANY, id="a part that is not there"),
        pytest.param([], Type.OBJECT, id="the root"),
    ],
)
def test_the_type_at_a_place(keys: list[schema.Key], found: Type) -> None:
    assert KIND.type_at(keys) is found


@pytest.mark.parametrize(
    ("place", "value", "becomes"),
    [
        pytest.param("text", "true", "true", id="a string stays a string"),
        pytest.param("text", "20240115", "20240115", id="digits where a string is wanted"),
        pytest.param("count", "-5", -5, id="an integer"),
        pytest.param("share", "0.5", 0.5, id="a number with a fraction"),
        pytest.param("share", "3", 3, id="a whole number"),
        pytest.param("on", "false", False, id="a boolean"),
        pytest.param("port", "8080", 8080, id="int-or-string, canonical"),
        pytest.param("port", "50%", "50%", id="int-or-string, text"),
        pytest.param("port", "080", "080", id="int-or-string, not canonical"),
        pytest.param("port", "true", "true", id="int-or-string never becomes a boolean"),
        pytest.param("free", "7", 7, id="no schema: canonical"),
        pytest.param("free", "007", "007", id="no schema: not canonical"),
        pytest.param("free", "true", True, id="no schema: a boolean"),
        pytest.param("unknown", "7", 7, id="a field that the schema lacks"),
        pytest.param("small", "2147483647", 2147483647, id="the largest of 32 bits"),
    ],
)
def test_a_lone_variable_takes_the_type_of_its_place(place: str, value: str, becomes: Any) -> None:
    found = substitute({place: "{{params.x}}"}, Plain({"params.x": value}), "spec", Places(KIND, ("spec",)))
    assert found == {place: becomes}
    assert type(found[place]) is type(becomes)


def test_the_schema_counts_before_the_name_of_the_place() -> None:
    found = substitute({"args": ["{{index}}"]}, Plain({"index": "7"}), "", Places(KIND, ("spec",)))
    assert found == {"args": [7]}


@pytest.mark.parametrize(
    ("place", "value", "wanted"),
    [
        pytest.param("count", "ten", "an integer", id="a word for an integer"),
        pytest.param("count", "010", "an integer", id="leading zeros for an integer"),
        pytest.param("count", "1.0", "an integer", id="a fraction for an integer"),
        pytest.param("count", "", "an integer", id="nothing for an integer"),
        pytest.param("count", "9223372036854775808", "an integer", id="more than 64 bits"),
        pytest.param("small", "2147483648", "an integer of 32 bits", id="more than 32 bits"),
        pytest.param("share", "1e999", "a number", id="more than a number can be"),
        pytest.param("share", "NaN", "a number", id="no number"),
        pytest.param("on", "True", "true or false", id="a boolean with a capital"),
        pytest.param("list", "[]", 'a list; write "| json"', id="text for a list"),
        pytest.param("map", "{}", 'an object; write "| json"', id="text for an object"),
    ],
)
def test_a_value_that_cannot_be_names_place_and_type(place: str, value: str, wanted: str) -> None:
    with pytest.raises(VariableError) as caught:
        substitute({place: "{{params.x}}"}, Plain({"params.x": value}), "template.jobSpec", Places(KIND, ("spec",)))
    assert caught.value.path == f"template.jobSpec.{place}"
    assert caught.value.message.startswith(f'{{{{params.x}}}} is "{value}", and this place takes {wanted}')


@pytest.mark.parametrize(
    ("text", "value", "becomes"),
    [
        pytest.param("{{x | string}}", "7", "7", id="string"),
        pytest.param("{{x|int}}", "7", 7, id="int, without blanks"),
        pytest.param("{{ x | bool }}", "true", True, id="bool, with blanks"),
        pytest.param("{{x | json}}", '[{"a": 1}]', [{"a": 1}], id="json"),
        pytest.param("a{{x | int}}", "7", "a7", id="inside other text it is only checked"),
    ],
)
@pytest.mark.parametrize("place", ["text", "count", "args", "labels"])
def test_a_conversion_says_it_outright(text: str, value: str, becomes: Any, place: str) -> None:
    values = Plain({"params.x": value})
    tree = {place: text.replace("x", "params.x", 1)}
    assert substitute(tree, values, "", Places(KIND, ("spec",))) == {place: becomes}


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        pytest.param("{{params.x | int}}", "ten", 'is "ten", and | int takes an integer', id="int"),
        pytest.param("b{{params.x | bool}}", "yes", 'is "yes", and | bool takes true or false', id="bool, inside text"),
        pytest.param("{{params.x | json}}", "{", "and | json takes JSON", id="json"),
        pytest.param("{{params.x | json}}", "[" * 9_000, "and | json takes JSON", id="json, nested too deeply"),
        pytest.param(
            "{{params.x | upper}}", "a", "no conversion is named 'upper'; there are string, int", id="unknown"
        ),
        pytest.param("{{params.x |}}", "a", "no conversion is named ''", id="none after the bar"),
        pytest.param("{{params.x | int | string}}", "1", "no conversion is named 'int | string'", id="two"),
    ],
)
def test_a_conversion_that_cannot_be_is_an_error(text: str, value: str, message: str) -> None:
    with pytest.raises(VariableError) as caught:
        substitute({"a": text}, Plain({"params.x": value}), "spec")
    assert message in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("keys", "is_text"),
    [
        pytest.param(["spec", "command", 0], True, id="command"),
        pytest.param(["spec", "args"], True, id="args as a string"),
        pytest.param(["env", 3, "value"], True, id="the value of an environment variable"),
        pytest.param(["env", "-", "value"], True, id="the same in a JSON pointer"),
        pytest.param(["env", "value"], False, id="an env that is no list"),
        pytest.param(["env", 0, "name"], False, id="the name of an environment variable"),
        pytest.param(["metadata", "labels", "a"], True, id="labels"),
        pytest.param(["metadata", "annotations", "a"], True, id="annotations"),
        pytest.param(["nodeSelector", "a"], True, id="nodeSelector"),
        pytest.param(["selector", "matchLabels", "a"], True, id="matchLabels"),
        pytest.param(["spec", "value"], False, id="value elsewhere"),
    ],
)
def test_places_where_people_write_text(keys: list[schema.Key], is_text: bool) -> None:
    assert conversion.is_text(keys) is is_text


def test_a_type_is_needed_before_the_schema_is_known() -> None:
    unknown = Places(None, ("spec",))
    with pytest.raises(SchemaNeeded):
        substitute({"a": "{{index}}"}, Plain({"index": "7"}), "", unknown)
    others = {"a": "x{{index}}", "b": "{{index | int}}", "c": "{{other}}", "d": "{{{{index}}}}"}
    assert substitute(others, Plain({"index": "7"}), "", unknown)["b"] == 7


@given(st.text(max_size=30))
def test_a_string_is_a_string(value: str) -> None:
    assert conversion.by_type(value, Type.STRING) == value


@given(st.one_of(st.integers(), st.booleans().map(str), st.text(max_size=30)).map(str), st.sampled_from(Type))
def test_what_a_value_becomes_is_written_as_the_value_or_refused(value: str, wanted: Type) -> None:
    try:
        found = conversion.by_type(value, wanted)
    except ConversionError:
        return
    if isinstance(found, bool):
        assert value == str(found).lower()
    elif isinstance(found, int) and value != "-0":
        assert value == str(found)
    elif isinstance(found, float):
        assert found == float(value)


_TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8).filter(lambda text: "{{" not in text)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=20,
)


@given(_TREES, st.sampled_from([KIND, NO_SCHEMA]))
def test_what_holds_no_variable_is_never_changed(tree: Any, kind: Schema) -> None:
    assert substitute(tree, Plain({"index": "7"}), "", Places(kind, ("spec",))) == tree


@given(st.text(max_size=6), st.text(max_size=6), st.sampled_from(sorted(LEAVES)), st.integers())
def test_a_variable_beside_other_text_makes_text(before: str, after: str, place: str, number: int) -> None:
    if not before + after or "{" in before + after or "}" in before + after:
        return
    found = substitute(
        {place: f"{before}{{{{index}}}}{after}"}, Plain({"index": str(number)}), "", Places(KIND, ("spec",))
    )
    assert found == {place: f"{before}{number}{after}"}
