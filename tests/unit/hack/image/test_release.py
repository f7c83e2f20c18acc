from __future__ import annotations

from pathlib import Path

import pytest

from hack.image import images, release
from hack.image.errors import ImageError

IMAGE = "registry.example/team/workflow-controller:1.2.3@sha256:0123"
POD = "kind: Deployment\nspec:\n  containers:\n  - name: a\n    image: workflow-controller:0.1.0\n"


def test_every_image_is_named_by_its_digest() -> None:
    whole = release.manifests([POD, "kind: Namespace\n", POD], IMAGE)
    assert whole.count(f"    image: {IMAGE}\n") == 2
    assert "0.1.0" not in whole
    assert whole.count("---\n") == 2


def test_a_file_that_ends_without_a_newline_stays_a_document_of_its_own() -> None:
    assert release.manifests([POD.rstrip(), "kind: Namespace"], IMAGE).splitlines()[-2:] == ["---", "kind: Namespace"]


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(["kind: Namespace\n"], id="none names an image"),
        pytest.param([POD, POD.replace("workflow-controller:", "other:")], id="one names another image"),
    ],
)
def test_manifests_with_other_images_are_refused(texts: list[str]) -> None:
    with pytest.raises(ImageError, match=f"are {images.NAME}; all of them must be"):
        release.manifests(texts, IMAGE)


def test_the_manifests_of_this_checkout_can_be_released() -> None:
    texts = [file.read_text() for file in sorted(release.MANIFESTS.glob("*.yaml"))]
    assert release.manifests(texts, IMAGE).count(IMAGE) == 2


def test_the_checksums_are_of_all_files_but_their_own(tmp_path: Path) -> None:
    for name in ("b", "a", "SHA256SUMS"):
        (tmp_path / name).write_text("")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert release.checksums(tmp_path) == f"{empty}  a\n{empty}  b\n"
