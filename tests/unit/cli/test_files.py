"""Files, folders and pipes become texts; what cannot be read ends in one line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkg.cli.files import STDIN, read_files
from pkg.cli.problems import Problem


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("d/b.yaml", "d/a.yml", "d/c.json", "d/notes.txt", "d/inner/e.yaml", "d/.git/f.yaml", "none/readme.md"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    Path("latin.yaml").write_bytes("a: 1\nb: é\n".encode("latin-1"))
    Path("bom.yaml").write_bytes("\N{ZERO WIDTH NO-BREAK SPACE}a: 1".encode())
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "recursive", "names"),
    [
        pytest.param(["d/b.yaml"], False, ["d/b.yaml"], id="a file"),
        pytest.param(["d/notes.txt"], False, ["d/notes.txt"], id="a file by name, whatever its ending"),
        pytest.param(["d"], False, ["d/a.yml", "d/b.yaml", "d/c.json"], id="the YAML and JSON of a folder, by name"),
        pytest.param(
            ["d"],
            True,
            ["d/a.yml", "d/b.yaml", "d/c.json", "d/inner/e.yaml"],
            id="with its folders, but no hidden ones",
        ),
        pytest.param(["d/b.yaml", "d", "d/b.yaml"], False, ["d/b.yaml", "d/a.yml", "d/c.json"], id="each file once"),
        pytest.param(["-", "d/b.yaml", "-"], False, [STDIN, "d/b.yaml"], id="a pipe is read once"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_read(paths: list[str], recursive: bool, names: list[str]) -> None:
    found = read_files(paths, recursive=recursive, stdin=lambda: b"piped")
    assert list(found) == names
    assert all(text == ("piped" if name == STDIN else name) for name, text in found.items())


@pytest.mark.parametrize(
    ("path", "message"),
    [
        pytest.param("nowhere.yaml", "nowhere.yaml: there is no such file or folder", id="a file that is not there"),
        pytest.param("d/b.yaml/x", "d/b.yaml/x: cannot be read: not a directory", id="a file below a file"),
        pytest.param(
            "none", "none: the folder has no file that ends in .yaml, .yml, .json; -R looks", id="an empty folder"
        ),
        pytest.param("latin.yaml", "latin.yaml:2: a manifest is text in UTF-8", id="another encoding, with its line"),
        pytest.param("https://example.com/w.yaml", "addresses are not read; download the file", id="an address"),
        pytest.param("a\0b", "this is no name of a file", id="no name of a file"),
        pytest.param("", "the name of a file is empty", id="an empty name"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_read(path: str, message: str) -> None:
    with pytest.raises(Problem) as caught:
        read_files([path])
    assert message in caught.value.message
    assert caught.value.exit_code == 2


@pytest.mark.usefixtures("folder")
def test_a_byte_order_mark_is_no_text() -> None:
    assert read_files(["bom.yaml"]) == {"bom.yaml": "a: 1"}
