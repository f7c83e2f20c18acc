from __future__ import annotations

import pytest

from hack.image import contents

REQUIRED = {
    "app": ["Left_Out", "used"],
    "left-out": ["only-of-it", "used.too"],
    "only-of-it": [],
    "used": ["used.too"],
    "used-too": ["used"],
}


def test_what_only_a_left_out_distribution_requires_is_left_out_too() -> None:
    assert contents.closure("app", REQUIRED, left_out=["left-out"]) == ["app", "used", "used-too"]


def test_without_exceptions_all_is_in() -> None:
    assert contents.closure("app", REQUIRED, left_out=[]) == sorted(REQUIRED)


def test_a_distribution_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(KeyError, match="missing"):
        contents.closure("app", {"app": ["missing"]})


@pytest.mark.parametrize(
    ("path", "is_left_out"),
    [
        pytest.param("cel_expr_python/ext/ext_math.so", True, id="an extension of CEL"),
        pytest.param("cel_expr_python/cel.so", False, id="CEL itself"),
        pytest.param("pygments/lexers/__init__.py", False, id="the package of lexers"),
        pytest.param("pygments/lexers/_mapping.py", False, id="the table of lexers"),
        pytest.param("pygments/lexers/python.py", False, id="the lexer of Python"),
        pytest.param("pygments/lexers/special.py", False, id="the lexer of plain text"),
        pytest.param("pygments/lexers/php.py", True, id="a lexer with another second letter"),
        pytest.param("pygments/lexers/sql.py", True, id="a lexer with s"),
        pytest.param("pygments/lexers/julia.py", True, id="a lexer with another first letter"),
        pytest.param("pkg/py.typed", True, id="a mark for type checkers"),
        pytest.param("pkg/workloads/rules.yaml", False, id="data of the program"),
        pytest.param("msgspec/__init__.pyi", True, id="a stub"),
        pytest.param("rich/table.py", False, id="a module"),
    ],
)
def test_files(path: str, is_left_out: bool) -> None:
    assert contents.is_left_out(path) is is_left_out
