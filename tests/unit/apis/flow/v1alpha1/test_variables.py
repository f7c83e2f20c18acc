"""What counts as a variable, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from pkg.apis.flow.v1alpha1 import variables
from pkg.apis.flow.v1alpha1.substitution import Plain, substitute
from pkg.apis.flow.v1alpha1.variables import Foreign, Known, Literal, UnknownUnderOurs, VariableError

VALUES = Plain(
    {
        "workflow.name": "nightly",
        "index": "3",
        "replicas": "4",
        "params.epochs": "10",
        "params.flag": "true",
        "params.a.b": "dotted",
        "params.zeros": "007",
        "params.minus": "-5",
        "params.big": "9223372036854775808",
        "params.nested": "{{index}}",
        "params.empty": "",
        "flows.prep.podIP": "10.0.0.7",
    }
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        pytest.param("{{workflow.name}}", [Known("workflow.name")], id="a plain name is known"),
        pytest.param("{{ index }}", [Known("index")], id="blanks inside do not count"),
        pytest.param("{{params.a.b-c}}", [Known("params.a.b-c")], id="a parameter's name may have dots and dashes"),
        pytest.param("{{flows.a-b.podIP}}", [Known("flows.a-b.podIP")], id="a pod address is known by its form"),
        pytest.param("{{flows.a.podIp}}", [UnknownUnderOurs("flows.a.podIp")], id="podIp is not podIP"),
        pytest.param("{{workflow.nmae}}", [UnknownUnderOurs("workflow.nmae")], id="a slip under a word of ours"),
        pytest.param("{{workflow}}", [UnknownUnderOurs("workflow")], id="a word of ours alone is no variable"),
        pytest.param("{{index.x}}", [UnknownUnderOurs("index.x")], id="index has nothing below it"),
        pytest.param("{{params.}}", [UnknownUnderOurs("params.")], id="a parameter needs a name"),
        pytest.param("{{user.name}}", [Foreign("user.name")], id="another first word is foreign"),
        pytest.param("{{workflows.name}}", [Foreign("workflows.name")], id="a longer first word is foreign"),
        pytest.param("{{ .Values.x }}", [Foreign(".Values.x")], id="somebody else's template is foreign"),
        pytest.param("{{}}", [Foreign("")], id="nothing inside is foreign"),
        pytest.param("{{ index | int }}", [Known("index", "int")], id="a conversion"),
        pytest.param("{{params.x|json}}", [Known("params.x", "json")], id="a conversion without blanks"),
        pytest.param("{{index | upper}}", [UnknownUnderOurs("index | upper")], id="no such conversion"),
        pytest.param("{{ .x | int }}", [Foreign(".x | int")], id="somebody else's pipe is foreign"),
        pytest.param("{{{{index}}}}", [Literal("index")], id="four braces are a literal"),
        pytest.param("{{{index}}}", [Known("index")], id="three braces hold a variable in one pair"),
        pytest.param("{{index}", [], id="an open pair is text"),
        pytest.param("{{index}}/{{x}}", [Known("index"), Foreign("x")], id="several in one string"),
    ],
)
def test_tokens(text: str, tokens: list[Any]) -> None:
    assert list(variables.tokens(text)) == tokens


@pytest.mark.parametrize(
    ("tree", "filled"),
    [
        pytest.param({"n": "{{index}}"}, {"n": 3}, id="an integer alone becomes one"),
        pytest.param({"n": "{{params.minus}}"}, {"n": -5}, id="a negative integer too"),
        pytest.param({"n": "{{params.flag}}"}, {"n": True}, id="a boolean alone becomes one"),
        pytest.param({"n": "{{params.zeros}}"}, {"n": "007"}, id="leading zeros are not canonical"),
        pytest.param({"n": "{{params.big}}"}, {"n": "9223372036854775808"}, id="more than 64 bits stay text"),
        pytest.param({"n": "{{workflow.name}}"}, {"n": "nightly"}, id="a word stays text"),
        pytest.param({"n": "{{params.empty}}"}, {"n": ""}, id="an empty value is a value"),
        pytest.param({"n": "x{{index}}"}, {"n": "x3"}, id="inside other text it is text"),
        pytest.param({"n": " {{index}}"}, {"n": " 3"}, id="a blank before it makes it text"),
        pytest.param({"n": "{{index}}{{index}}"}, {"n": "33"}, id="two make text"),
        pytest.param({"command": ["{{index}}"]}, {"command": ["3"]}, id="command keeps strings"),
        pytest.param({"args": ["{{params.flag}}"]}, {"args": ["true"]}, id="args keeps strings"),
        pytest.param({"env": [{"name": "A", "value": "{{index}}"}]}, {"env": [{"name": "A", "value": "3"}]}, id="env"),
        pytest.param({"env": {"value": "{{index}}"}}, {"env": {"value": 3}}, id="an env that is no list is no env"),
        pytest.param({"spec": {"value": "{{index}}"}}, {"spec": {"value": 3}}, id="value elsewhere is typed"),
        pytest.param({"labels": {"a": "{{index}}"}}, {"labels": {"a": "3"}}, id="labels keep strings"),
        pytest.param({"annotations": {"a": "{{index}}"}}, {"annotations": {"a": "3"}}, id="annotations keep strings"),
        pytest.param({"nodeSelector": {"a": "{{index}}"}}, {"nodeSelector": {"a": "3"}}, id="nodeSelector"),
        pytest.param({"matchLabels": {"a": "{{index}}"}}, {"matchLabels": {"a": "3"}}, id="matchLabels"),
        pytest.param({"a": "{{x}} {{ .y }}"}, {"a": "{{x}} {{ .y }}"}, id="foreign braces stay as they are"),
        pytest.param({"a": "{{{{index}}}}"}, {"a": "{{index}}"}, id="a literal loses two pairs"),
        pytest.param({"a": "{{params.nested}}"}, {"a": "{{index}}"}, id="values are not scanned again"),
        pytest.param({"a": "{{params.a.b}}"}, {"a": "dotted"}, id="a parameter with a dot"),
        pytest.param({"a": "http://{{flows.prep.podIP}}:80"}, {"a": "http://10.0.0.7:80"}, id="a pod address"),
        pytest.param({"k-{{index}}": 1}, {"k-3": 1}, id="keys are filled in too"),
        pytest.param([1, None, 2.5, False, ""], [1, None, 2.5, False, ""], id="the rest passes through"),
    ],
)
def test_substitution(tree: Any, filled: Any) -> None:
    assert substitute(tree, VALUES) == filled


def test_the_copy_shares_nothing_with_the_template() -> None:
    tree = {"a": [{"b": {"c": "plain"}}]}
    filled = substitute(tree, VALUES)
    filled["a"][0]["b"]["c"] = "changed"
    assert tree == {"a": [{"b": {"c": "plain"}}]}


@pytest.mark.parametrize(
    ("tree", "path", "message"),
    [
        pytest.param(
            {"spec": {"containers": [{"args": ["ok", "{{workflow.nmae}}"]}]}},
            "template.jobSpec.spec.containers[0].args[1]",
            "{{workflow.nmae}} is no variable",
            id="an unknown name under ours, with the place of the string",
        ),
        pytest.param(
            {"a": "{{params.nope}}"}, "template.jobSpec.a", "names no parameter", id="a parameter nobody gives"
        ),
        pytest.param(
            {"labels": {"x.io/a": "{{flows.other.podIP}}"}},
            'template.jobSpec.labels["x.io/a"]',
            "no pod address",
            id="an address that is not there",
        ),
        pytest.param({"a-{{index}}": 1, "a-3": 2}, "template.jobSpec", "two keys become 'a-3'", id="keys that collide"),
    ],
)
def test_what_cannot_be_filled_in_names_its_place(tree: Any, path: str, message: str) -> None:
    with pytest.raises(VariableError, match=message.replace("{", r"\{")) as caught:
        substitute(tree, VALUES, "template.jobSpec")
    assert caught.value.path == path


def test_values_cannot_blow_an_object_up() -> None:
    with pytest.raises(VariableError, match="exceed"):
        substitute(["{{params.big}}"] * 1_000, Plain({"params.big": "x" * 16_384}))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param("flow.nme", "flow.name", id="a letter is missing"),
        pytest.param("workflow.nmae", "workflow.name", id="two letters are swapped"),
        pytest.param("workflow.uuid", "workflow.uid", id="a letter too many"),
        pytest.param("workflow.Name", "workflow.name", id="a capital"),
        pytest.param("flows.a.podIp", "flows.a.podIP", id="the case of podIP"),
        pytest.param("flows.a.podsIP | string", "flows.a.podIP", id="with a conversion"),
    ],
)
def test_an_unknown_name_under_ours_names_the_nearest_one(name: str, meant: str) -> None:
    assert f'did you mean "{meant}"?' in variables.unknown_message(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param("param.x", "params.x", id="param"),
        pytest.param("Params.x", "params.x", id="a capital"),
        pytest.param("worfklow.name", "workflow.name", id="swapped letters"),
        pytest.param("indx", "index", id="a letter is missing"),
        pytest.param("user.name", "", id="another word"),
        pytest.param(".Values.x", "", id="somebody else's template"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_foreign_first_word_one_letter_off_ours_is_noticed(name: str, meant: str) -> None:
    message = variables.foreign_message(name)
    assert "stays as it is" in message
    assert ("did you mean" in message) is bool(meant)
    assert f'"{meant}"' in message or not meant


def test_the_nearest_name_is_one_letter_off_at_most() -> None:
    assert variables.nearest("epoch", ["rate", "epochs"]) == "epochs"
    assert variables.nearest("epo", ["epochs"]) == ""
    assert variables.nearest("ab", ["cd"]) == ""
