"""Skips these tests unless `-m install` is given, since building the image takes a minute or two."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skips the tests of this folder unless the marker was given."""
    if "install" in config.option.markexpr:
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="runs by `make test-install`"))
