"""To which object a pod belongs, by its owners and theirs."""

from __future__ import annotations

import pytest

from pkg.apis.meta import OwnerReference
from pkg.views.owners import root_of

OWNERS = {
    "pod": (OwnerReference(uid="replicaset"),),
    "replicaset": (OwnerReference(uid="deployment"),),
    "of-two": (OwnerReference(uid="stranger"), OwnerReference(uid="deployment")),
    "alone": (),
    "in-a-ring": (OwnerReference(uid="ring"),),
    "ring": (OwnerReference(uid="in-a-ring"),),
}


@pytest.mark.parametrize(
    ("uid", "root"),
    [
        pytest.param("deployment", "deployment", id="the object itself"),
        pytest.param("replicaset", "deployment", id="what it owns"),
        pytest.param("pod", "deployment", id="what that owns"),
        pytest.param("of-two", "deployment", id="one of two owners"),
        pytest.param("alone", None, id="without owners"),
        pytest.param("unknown", None, id="not among those that were read"),
        pytest.param("in-a-ring", None, id="owners that own each other"),
    ],
)
def test_root(uid: str, root: str | None) -> None:
    assert root_of(uid, OWNERS, {"deployment"}) == root
