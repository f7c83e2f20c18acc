"""The image, which all tests of this folder share. It takes a minute or two, so they run only with `-m install`."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack.cluster.containers import packages
from hack.image import builders, images
from hack.image.errors import ImageError, run

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skips the tests of this folder unless the marker was given."""
    if "install" in config.option.markexpr:
        return
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="runs by `make test-install`"))


def why_not() -> str:
    """Why no image can be built and run here, in one line; empty if it can."""
    if reason := packages.unavailable():
        return reason
    try:
        builders.find()
    except ImageError as error:
        return str(error)
    return ""


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image of this checkout, as `make images` builds it, in a docker-archive."""
    builder = builders.find()
    (image,) = images.build(builder, [builders.native()], "", "", print)
    target = tmp_path_factory.mktemp("image") / "image.tar"
    run(builder.save(image.name, target), what="saving the image")
    return target
