"""Merge patches that merge lists by key, and JSON Patches."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pkg.apis.flow.v1alpha1 import patching
from pkg.apis.flow.v1alpha1.patching import PatchError, apply, fill
from pkg.apis.flow.v1alpha1.substitution import Plain

TARGET: dict[str, Any] = {
    "metadata": {"labels": {"a": "1"}, "annotations": {}},
    "spec": {
        "backoffLimit": 0,
        "containers": [{"name": "main", "image": "one", "args": ["x", "y"]}, {"name": "side", "image": "two"}],
        "tolerations": [{"key": "gpu"}],
    },
}


def changed(**spec: Any) -> dict[str, Any]:
    return {**TARGET, "spec": {**TARGET["spec"], **spec}}


MAIN, SIDE = TARGET["spec"]["containers"]


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        pytest.param(None, TARGET, id="no patch changes nothing"),
        pytest.param({}, TARGET, id="an empty merge patch changes nothing"),
        pytest.param([], TARGET, id="an empty JSON Patch changes nothing"),
        pytest.param({"spec": {"backoffLimit": 2}}, changed(backoffLimit=2), id="under spec"),
        pytest.param({"spec": {"jobSpec": {"backoffLimit": 2}}}, changed(backoffLimit=2), id="under spec.jobSpec"),
        pytest.param({"jobSpec": {"backoffLimit": 2}}, changed(backoffLimit=2), id="under jobSpec"),
        pytest.param({"backoffLimit": 2}, changed(backoffLimit=2), id="another top-level key is one of spec"),
        pytest.param(
            {"spec": {"containers": [{"name": "main", "image": "new"}]}},
            changed(containers=[{**MAIN, "image": "new"}, SIDE]),
            id="lists of named items merge by name",
        ),
        pytest.param(
            {"spec": {"containers": [{"name": "third"}]}},
            changed(containers=[MAIN, SIDE, {"name": "third"}]),
            id="a new name is added",
        ),
        pytest.param(
            {"spec": {"containers": [{"name": "main", "args": ["z"]}]}},
            changed(containers=[{**MAIN, "args": ["z"]}, SIDE]),
            id="lists without names are replaced",
        ),
        pytest.param(
            {"spec": {"tolerations": [{"name": "x"}]}},
            changed(tolerations=[{"name": "x"}]),
            id="a list of which one side has no names is replaced",
        ),
        pytest.param({"spec": {"containers": []}}, changed(containers=[]), id="an empty list empties"),
        pytest.param(
            {"spec": {"containers": [{"name": "main", "args": None}]}},
            changed(containers=[{"name": "main", "image": "one"}, SIDE]),
            id="null deletes",
        ),
        pytest.param(
            {"metadata": {"labels": {"b": "2"}}},
            {**TARGET, "metadata": {"labels": {"a": "1", "b": "2"}, "annotations": {}}},
            id="metadata is patched beside spec",
        ),
        pytest.param(
            {"metadata": {"labels": None}},
            {**TARGET, "metadata": {"labels": {}, "annotations": {}}},
            id="labels are there even when deleted",
        ),
        pytest.param(
            [{"op": "add", "path": "/metadata/labels/b", "value": "2"}, {"op": "remove", "path": "/spec/tolerations"}],
            {
                "metadata": {"labels": {"a": "1", "b": "2"}, "annotations": {}},
                "spec": {"backoffLimit": 0, "containers": [MAIN, SIDE]},
            },
            id="JSON Patch sees metadata and spec",
        ),
        pytest.param(
            [{"op": "test", "path": "/spec/backoffLimit", "value": 0}, {"op": "add", "path": "/spec/x", "value": None}],
            changed(x=None),
            id="a test that holds lets the rest pass",
        ),
    ],
)
def test_applied(patch: Any, expected: Any) -> None:
    assert apply(copy.deepcopy(TARGET), copy.deepcopy(patch)) == expected


@pytest.mark.parametrize(
    ("patch", "path", "message"),
    [
        pytest.param("text", "", "an object .* or a list", id="a string is no patch"),
        pytest.param(["x"], "[0]", "is an object such as", id="a step that is no object"),
        pytest.param([{"op": "ad", "path": "/spec/x", "value": 1}], "[0].op", "one of add", id="an unknown op"),
        pytest.param([{"op": "add", "value": 1}], "[0].path", "JSON pointer such as", id="a missing path"),
        pytest.param([{"op": "move", "path": "/spec/x"}], "[0].from", "from must be", id="a missing from"),
        pytest.param([{"op": "add", "path": "/spec/x"}], "[0].value", "needs a value", id="a missing value"),
        pytest.param([{"op": "remove", "path": "spec.x"}], "[0].path", 'write "/spec/x"', id="dots for slashes"),
        pytest.param([{"op": "remove", "path": "/spec/a~b"}], "[0].path", 'written "~0"', id="a bare tilde"),
        pytest.param([{"op": "remove", "path": "/x"}], "[0].path", 'write "/spec/x"', id="outside metadata and spec"),
        pytest.param([{"op": "remove", "path": "/spec/nope"}], "[0]", "cannot remove", id="nothing to remove"),
        pytest.param(
            [{"op": "test", "path": "/spec/backoffLimit", "value": 9}], "[0]", "does not hold", id="a failed test"
        ),
        pytest.param([{"op": "remove", "path": "/spec"}], "", "no object under 'spec'", id="a spec taken away"),
        pytest.param([{"op": "replace", "path": "", "value": []}], "", "no object", id="a root that is no object"),
        pytest.param({"spec": "x"}, "spec", "must be an object", id="a merge patch with a string for spec"),
        pytest.param({"metadata": {"labels": "x"}}, "metadata.labels", "no map", id="labels that are no map"),
        pytest.param(
            {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}},
            "spec.containers[0].$patch",
            "a JSON Patch removes or replaces an item",
            id="a directive that would delete an item",
        ),
        pytest.param(
            {"spec": {"containers": [{"$patch": "replace"}, {"name": "main"}]}},
            "spec.containers[0].$patch",
            "belongs to a strategic merge patch",
            id="a directive that would replace a list",
        ),
        pytest.param(
            {"spec": {"containers": [{"name": "main", "$deleteFromPrimitiveList/args": ["x"]}]}},
            'spec.containers[0]["$deleteFromPrimitiveList/args"]',
            "belongs to a strategic merge patch",
            id="a directive with a name of a field",
        ),
    ],
)
def test_what_does_not_apply_says_where_and_why(patch: Any, path: str, message: str) -> None:
    with pytest.raises(PatchError, match=message) as caught:
        apply(copy.deepcopy(TARGET), patch)
    assert caught.value.path == path


@pytest.mark.parametrize("pointer", ["/spec/nope/x", "/metadata/nope/x"])
def test_what_does_not_apply_is_said_without_the_object_and_its_secrets(pointer: str) -> None:
    target = {"metadata": {"labels": {}}, "spec": {"env": [{"name": "PASSWORD", "value": "hunter2"}]}}
    with pytest.raises(PatchError) as caught:
        apply(target, [{"op": "replace", "path": pointer, "value": 1}])
    assert caught.value.message == f"cannot replace '{pointer}': member 'nope' is not there"


def test_copies_of_copies_are_stopped_before_they_fill_the_memory() -> None:
    steps = [{"op": "add", "path": "/spec/a", "value": ["x" * 1_000]}]
    steps += [{"op": "copy", "from": "/spec/a", "path": "/spec/a/-"}] * 64
    with pytest.raises(PatchError, match="copies more than") as caught:
        apply(copy.deepcopy(TARGET), steps)
    assert caught.value.path == "[11].from"


def test_more_steps_than_allowed_are_a_fault() -> None:
    step = {"op": "add", "path": "/spec/x", "value": 1}
    assert patching.faults([step] * patching.MAX_STEPS) == []
    (fault,) = patching.faults([step] * (patching.MAX_STEPS + 1))
    assert fault.message.startswith("2,001 steps; at most 2,000 are allowed")


@pytest.mark.parametrize(
    "step",
    [
        pytest.param({"op": "remove", "path": "/spec/many/0"}, id="removed from the front"),
        pytest.param({"op": "add", "path": "/spec/many/0", "value": 1}, id="added to the front"),
        pytest.param({"op": "move", "from": "/spec/many/0", "path": "/spec/many/1"}, id="moved at the front"),
        pytest.param({"op": "copy", "from": "/spec/one", "path": "/spec/many/0"}, id="copied to the front"),
    ],
)
def test_steps_that_move_very_many_items_of_a_list_do_not_apply(step: dict[str, Any]) -> None:
    target: dict[str, Any] = {"metadata": {}, "spec": {"many": [0] * 100_000, "one": 1}}
    with pytest.raises(PatchError, match="moves more than 20,000,000 items") as caught:
        apply(target, [step] * 1_000)
    last = int(caught.value.path.removeprefix("[").removesuffix("].path"))
    assert (last + 1) * 100_000 == pytest.approx(patching.MAX_SHIFTED / (2 if step["op"] == "move" else 1), rel=0.01)


def test_steps_at_the_end_of_a_list_move_nothing() -> None:
    target: dict[str, Any] = {"metadata": {}, "spec": {"many": [0] * 100_000}}
    steps = [{"op": "add", "path": "/spec/many/-", "value": 1}, {"op": "replace", "path": "/spec/many/0", "value": 1}]
    assert len(apply(target, steps * 1_000)["spec"]["many"]) == 101_000


def nested(levels: int) -> Any:
    tree: Any = 1
    for _ in range(levels):
        tree = {"a": tree}
    return tree


@pytest.mark.parametrize(
    "step",
    [
        pytest.param({"op": "add", "path": f"/spec/x{'/a' * 250}", "value": nested(250)}, id="added below"),
        pytest.param({"op": "copy", "from": "/spec/x", "path": f"/spec/x{'/a' * 250}"}, id="copied below"),
        pytest.param({"op": "move", "from": "/spec/y", "path": f"/spec/x{'/a' * 250}"}, id="moved below"),
    ],
)
@pytest.mark.parametrize("times", [1, 4])
def test_steps_that_nest_together_too_deeply_do_not_apply(step: dict[str, Any], times: int) -> None:
    steps: list[dict[str, Any]] = [{"op": "add", "path": f"/spec/{key}", "value": nested(250)} for key in "xy"]
    steps += [step, *({**step, "path": f"/spec/x{'/a' * 250 * number}"} for number in range(2, times + 1))]
    after: list[dict[str, Any]] = [{"op": "remove", "path": "/spec/x"}, {"op": "test", "path": "/spec/no", "value": 1}]
    with pytest.raises(PatchError, match="nested too deeply") as caught:
        apply(copy.deepcopy(TARGET), copy.deepcopy(steps + after))
    assert caught.value.path == "[2]"  # the first step that nests too deeply, not the end of the patch
    assert apply(copy.deepcopy(TARGET), copy.deepcopy(steps[:2]))["spec"]["x"] == nested(250)


def test_steps_may_nest_as_deep_as_an_object_may_be() -> None:
    deepest = [{"op": "add", "path": "/spec/x", "value": nested(298)}]
    assert apply(copy.deepcopy(TARGET), copy.deepcopy(deepest))["spec"]["x"] == nested(298)
    with pytest.raises(PatchError, match="nested too deeply"):
        apply(copy.deepcopy(TARGET), [{"op": "add", "path": "/spec/x", "value": nested(299)}])


def test_a_patch_moves_a_bounded_number_of_bytes_to_deeper_places() -> None:
    target: dict[str, Any] = {"metadata": {}, "spec": {"x": ["y" * 100_000], "a": {"b": {}}}}
    steps = [
        {"op": "move", "from": "/spec/x", "path": "/spec/a/x"},
        {"op": "move", "from": "/spec/a/x", "path": "/spec/x"},
    ]
    with pytest.raises(PatchError, match="moves more than 2,000,000 bytes") as caught:
        apply(target, copy.deepcopy(steps * 100))
    assert caught.value.path == "[38].from"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/spec/containers/-/x", id="below the end of a list"),
        pytest.param("/spec/containers/0/image/x/y", id="below a string"),
        pytest.param(f"/spec/tolerations/{'9' * 5_000}", id="an index of 5,000 digits"),
        pytest.param("/spec/backoffLimit/x", id="below a number"),
        pytest.param("/spec/containers/x", id="an index that is no number"),
    ],
)
@pytest.mark.parametrize("op", ["add", "remove", "replace", "test", "copy", "move"])
def test_a_path_that_leads_nowhere_is_an_error_of_the_patch(op: str, path: str) -> None:
    with pytest.raises(PatchError) as caught:
        apply(copy.deepcopy(TARGET), [{"op": op, "path": path, "from": path, "value": 1}])
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        pytest.param("/spec/backoffLimit", "{{index}}", 7, id="typed where the place is plain"),
        pytest.param("/spec/containers/0/args/-", "{{index}}", "7", id="text in args"),
        pytest.param("/spec/containers/0/env/0/value", "{{index}}", "7", id="text in env"),
        pytest.param("/spec/containers/0/env/-", {"value": "{{index}}"}, {"value": "7"}, id="text in a new env item"),
        pytest.param("/metadata/labels/x", "{{index}}", "7", id="text in labels"),
    ],
)
def test_values_of_a_json_patch_are_typed_by_where_they_go(path: str, value: Any, expected: Any) -> None:
    step = {"op": "add", "path": path, "value": value}
    assert fill([step], Plain({"index": "7"}), "patch") == [{**step, "value": expected}]


def test_pointers_of_a_json_patch_are_filled_in_as_text() -> None:
    step = {"op": "remove", "path": "/spec/tasks/{{index}}"}
    assert fill([step], Plain({"index": "7"}), "patch") == [{"op": "remove", "path": "/spec/tasks/7"}]


def test_faults_gathers_all() -> None:
    assert [fault.path for fault in patching.faults([{"op": "x"}, 1, {"op": "copy", "path": "a"}])] == [
        "[0].op",
        "[0].path",
        "[1]",
        "[2].path",
        "[2].from",
    ]
