"""What a person reads of manifests that are wrong while the webhook runs: a refusal with field and cause.

Without it: tests/cluster/test_bad_input.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack.cluster import Cluster
from hack.cluster.api import ApiStatusError
from tests.cluster.support.bad_input import BAD, BAD_ENTRIES, CRD, Bad, asking
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import template
from tests.cluster.support.webhook import asked_webhook
from tests.cluster.support.world import World
from tests.cluster.test_admission import DENIED, Kubectl

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module", autouse=True)
def _webhook(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with asked_webhook(cluster, tmp_path_factory.mktemp("webhook")):
        yield


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_it_is_refused_with_field_and_cause(cluster: Cluster, world: World, bad: Bad) -> None:
    kubectl = Kubectl(cluster, world)
    said, errors = kubectl("apply", send=[template("step"), bad.manifest])
    text = "\n".join(errors)
    print(text)
    if bad.without == CRD:  # by its schema, which kubectl knows, too: then nothing is created
        field = bad.said.rpartition(".")[2]
        assert bad.said in text or f'missing required field "{field}"' in text
    else:
        assert said == ["worktemplate.flow.workflow.sh/step created"]
        assert DENIED in text
        assert bad.said in text
        assert text.count(bad.said) == 1


@pytest.mark.parametrize(("entry", "said"), BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_an_entry_that_decides_about_nothing_is_refused(world: World, entry: Object, said: str) -> None:
    world.create(template("step"))
    world.create(asking("w"))
    with pytest.raises(ApiStatusError) as caught:
        world.patch(world.workflow_path("w"), {"spec": {"approvals": [entry]}})
    text = str(caught.value).replace('\\"', '"')
    print(text)
    assert said in text
    assert "approvals" not in world.api.get(world.workflow_path("w"))["spec"]
