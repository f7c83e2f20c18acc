from __future__ import annotations

from pathlib import Path

import pytest

from hack.image.builders import PROGRAMS, Builder

CONTEXT, FILE, TARGET = Path("/context"), Path("/Dockerfile"), Path("/image.tar")


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_gets_file_name_platform_and_arguments(program: str) -> None:
    command = Builder(program).build(CONTEXT, FILE, "r/n:1", "arm64", {"BASE": "b"}, 7)
    assert command[:2] == [program, "build"]
    assert command[-1] == "/context"
    assert {"--platform=linux/arm64", "--file=/Dockerfile", "--tag=r/n:1", "--build-arg=BASE=b"} <= set(command)


@pytest.mark.parametrize("program", ["podman", "buildah"])
def test_layers_are_the_same_for_the_same_commit(program: str) -> None:
    assert "--timestamp=7" in Builder(program).build(CONTEXT, FILE, "n", "amd64", {}, 7)


def test_options_of_the_program_come_before_its_command() -> None:
    builder = Builder("buildah", ("--storage-driver=vfs",))
    for command in (builder.tag("a", "b"), builder.push("a"), builder.save("a", TARGET), *builder.index("a", ["b"])):
        assert command[:2] == ["buildah", "--storage-driver=vfs"]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("docker", ["docker", "save", "--output=/image.tar", "n:1"]),
        ("podman", ["podman", "save", "--output=/image.tar", "n:1"]),
        ("buildah", ["buildah", "push", "--quiet", "n:1", "docker-archive:/image.tar:n:1"]),
    ],
)
def test_an_image_is_saved_under_its_name(program: str, expected: list[str]) -> None:
    assert Builder(program).save("n:1", TARGET) == expected


@pytest.mark.parametrize(
    ("program", "last"),
    [
        ("docker", ["docker", "manifest", "push", "--purge", "r/n:1"]),
        ("podman", ["podman", "manifest", "push", "--all", "r/n:1", "docker://r/n:1"]),
        ("buildah", ["buildah", "manifest", "push", "--all", "r/n:1", "docker://r/n:1"]),
    ],
)
def test_one_name_for_several_processors_is_pushed_last(program: str, last: list[str]) -> None:
    assert Builder(program).index("r/n:1", ["r/n:1-amd64", "r/n:1-arm64"])[-1] == last


@pytest.mark.parametrize("program", ["podman", "buildah"])
def test_an_archive_of_several_processors_is_written_last_under_the_name_of_the_registry(program: str) -> None:
    images, digest = ["localhost/n:1-amd64", "localhost/n:1-arm64"], Path("/digest")
    create, *add, push = Builder(program).archive("localhost/i:1", images, TARGET, "r/n:1", digest)
    assert create == [program, "manifest", "create", "localhost/i:1"]
    assert [command[-1] for command in add] == [f"containers-storage:{image}" for image in images]
    assert push[-2:] == ["localhost/i:1", "oci-archive:/image.tar:r/n:1"]
    assert "--digestfile=/digest" in push


def test_a_base_that_is_here_is_not_pulled() -> None:
    build = Builder("buildah").build
    assert "--pull=never" in build(CONTEXT, FILE, "n", "arm64", {}, 7, has_base=True)
    assert "--pull=never" not in build(CONTEXT, FILE, "n", "arm64", {}, 7)
