"""The version that an image's name says."""

from __future__ import annotations

import pytest

from pkg.views.versions import version_of


@pytest.mark.parametrize(
    ("image", "version"),
    [
        pytest.param("workflow-controller:0.1.0", "0.1.0", id="a tag"),
        pytest.param("registry:5000/team/workflow-controller:0.1.0", "0.1.0", id="a port is no tag"),
        pytest.param("registry:5000/workflow-controller", "", id="a port alone"),
        pytest.param("workflow-controller:0.1.0@sha256:ab", "0.1.0", id="a tag and a digest"),
        pytest.param("workflow-controller@sha256:ab", "", id="a digest alone"),
    ],
)
def test_version_of(image: str, version: str) -> None:
    assert version_of(image) == version
