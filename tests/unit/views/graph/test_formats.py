"""How each format writes a picture: whole documents, and names that could be read as syntax."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from pytest_regressions.file_regression import FileRegressionFixture

from pkg.apis.flow.v1alpha1.phases import Phase
from pkg.views.graph.drawing import draw
from pkg.views.graph.formats import dot, mermaid
from pkg.views.graph.picture import Arrow, ArrowKind, Box, Picture
from pkg.views.graph.svg import svg
from tests.builders import wf

SHOP = Picture(
    "shop",
    (
        Box("build", ("build",), phase=Phase.SUCCEEDED),
        Box("serve", ("serve",), phase=Phase.RUNNING),
        Box("test", ("test",), "×4, 1 failed, 3 succeeded", Phase.FAILED),
        Box("release", ("release",), phase=Phase.WAITING),
        Box("roll-back", ("roll-back",), phase=Phase.PENDING),
        Box("sign", ("sign",), "approval, after 5m", Phase.WAITING, is_approval=True),
        Box("report", ("report",), is_finally=True),
    ),
    (
        Arrow("build", "serve", ArrowKind.TARGET),
        Arrow("serve", "test", ArrowKind.PROBE, "HTTP :8080/ready?a=1&b=<2>"),
        Arrow("test", "release", ArrowKind.TARGET, "", True),
        Arrow("build", "release", ArrowKind.STATUS, "Skipped", True),
        Arrow("test", "roll-back", ArrowKind.FAILURE, "Failed"),
        Arrow("serve", "release", ArrowKind.VALUE, "pod address"),
        Arrow("release", "sign", ArrowKind.TARGET),
    ),
    "Running 1/9",
)
NASTY = Picture(
    'a "b" <c>', (Box('x"];end', ("x",), "<b>&\\"), Box("y", ("y",))), (Arrow('x"];end', "y", ArrowKind.TARGET),)
)


@pytest.mark.parametrize("form", ["mermaid", "dot", "svg"])
@pytest.mark.parametrize("down", [False, True], ids=["to the right", "down"])
def test_whole_documents(form: str, down: bool, file_regression: FileRegressionFixture) -> None:
    write = {"mermaid": mermaid, "dot": dot, "svg": svg}[form]
    file_regression.check(write(SHOP, is_downward=down), extension=f".{form}")


def test_names_are_no_syntax_of_mermaid() -> None:
    text = mermaid(NASTY)
    assert 'n0["x#quot;];end<br/>#lt;b#gt;#amp;\\"]' in text
    assert 'title: "a \\"b\\" <c>"' in text


def test_names_are_no_syntax_of_dot() -> None:
    assert '"x\\"];end" [label="x\\"];end\\n<b>&\\\\"];' in dot(NASTY)


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
@pytest.mark.parametrize("picture", [SHOP, NASTY], ids=["a usual picture", "nasty names"])
def test_graphviz_reads_dot(picture: Picture) -> None:
    subprocess.run(["dot", "-Tplain"], input=dot(picture), text=True, check=True, capture_output=True)


@pytest.mark.parametrize("picture", [SHOP, NASTY], ids=["a usual picture", "nasty names"])
def test_svg_is_well_formed_and_shows_every_box_and_arrow(picture: Picture) -> None:
    root = ElementTree.fromstring(svg(picture))
    space = {"s": "http://www.w3.org/2000/svg"}
    shown = [group.get("data-flow") for group in root.iterfind(".//s:g[@data-flow]", space)]
    assert shown == [box.name for box in picture.boxes]
    drawn = [path for path in root.iterfind(".//s:path", space) if path.find("s:title", space) is not None]
    assert len(drawn) == len(picture.arrows)


def test_an_svg_of_thousands_of_flows_has_no_labels_that_cover_each_other() -> None:
    flows = {
        f"f{at}": {"dependsOn": {"probe": {"tcpSocketList": [{"taskName": "a", "port": 80}]}}} for at in range(900)
    }
    text = svg(draw(wf(a={}, **flows), fold=False))
    assert 'class="label"' not in text
    assert text.count("<title>") == 901 + 900


@pytest.mark.parametrize("write", [mermaid, dot, svg], ids=["mermaid", "dot", "svg"])
def test_names_do_not_steer_the_terminal(write: Callable[[Picture], str]) -> None:
    evil = "\x1b[2J\x1b]0;x\x07\u009b31m"
    boxes = Box(f"a{evil}", ("a",), f"note{evil}"), Box("b", ("b",))
    text = write(Picture(f"t{evil}", boxes, (Arrow(f"a{evil}", "b", ArrowKind.PROBE, f"HTTP :80/{evil}"),), evil))
    assert all(char.isprintable() or char == "\n" for char in text)
    if write is svg:
        ElementTree.fromstring(text)
