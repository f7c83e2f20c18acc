"""A text that is compared with a number in `when` is a fault, because parameters and outputs are text."""

from __future__ import annotations

import pytest

from pkg.workloads.model import RuleError
from pkg.workloads.when_expressions import compile_when

FAULTS = {
    "an output with an integer": ("outputs.a.x == 3", "write int(outputs.a.x) == 3"),
    "the other way round": ("3 < outputs.a.x", "write 3 < int(outputs.a.x)"),
    "with a fraction": ("outputs['my-a'].x >= 2.5", "write double(outputs['my-a'].x) >= 2.5"),
    "a parameter with true": ("params.test == true", "params.test is text, and a text is never true or false; write"),
    "deep inside": (
        "index == 3 && (has(outputs.a.x) || !(params['p'] != -1))",
        "write int(params['p']) != -1",
    ),
}


@pytest.mark.parametrize(("text", "words"), FAULTS.values(), ids=FAULTS)
def test_a_text_is_no_number(text: str, words: str) -> None:
    with pytest.raises(RuleError) as error:
        compile_when(text)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "int(outputs.a.x) == 3",
        "outputs.a.x == '3'",
        "params.test == 'true'",
        "flows.a.failed == 0",
        "item.size == 3",
        "index == 3",
        "size(outputs.a.x) == 3",
        "outputs.a.x == params.p",
        "outputs.a.x in ['3', '4']",
    ],
)
def test_what_may_be_equal_is_no_fault(text: str) -> None:
    compile_when(text)
