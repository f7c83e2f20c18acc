from __future__ import annotations

import pytest

from hack.image.slim import is_unused


@pytest.mark.parametrize(
    ("path", "unused"),
    [
        pytest.param("usr/share/doc/libssl3/changelog.gz", True, id="a changelog"),
        pytest.param("usr/share/doc/libssl3/copyright", False, id="a licence stays"),
        pytest.param("usr/lib/x86_64-linux-gnu/gconv/BIG5.so", True, id="a character set of the C library"),
        pytest.param("usr/lib/x86_64-linux-gnu/libssl.so.3", False, id="a library"),
        pytest.param("usr/lib/python3.11/lib2to3/main.py", True, id="a part of Python for developers"),
        pytest.param("usr/lib/python3.11/json/__init__.py", False, id="a part of Python"),
        pytest.param("usr/bin/python3.11", False, id="the interpreter"),
        pytest.param("usr/bin/py3compile", True, id="a script of Debian"),
        pytest.param("usr/share/zoneinfo/UTC", False, id="a time zone"),
    ],
)
def test_files_of_the_base(path: str, unused: bool) -> None:
    assert is_unused(path) is unused
