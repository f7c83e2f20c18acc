"""Every YAML block of the documents can be read, and every manifest of ours in them is right."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml

from pkg.apis.flow.v1alpha1.schema_faults import schema_faults
from pkg.apis.flow.v1alpha1.types import Flow, WorkflowSpec, WorkTemplateSpec
from pkg.views.lint import lint
from tests.documents import BLOCKS, MANIFESTS, Block, blocks_of


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_a_block_is_yaml(block: Block) -> None:
    assert list(yaml.safe_load_all(block.text))


@pytest.mark.parametrize("block", MANIFESTS, ids=lambda block: block.where)
def test_a_manifest_is_judged_as_the_document_says(block: Block) -> None:
    faults = [str(finding) for finding in lint({block.where: block.text}) if not finding.is_warning]
    assert bool(faults) == block.is_faulty, faults


def fragment_of(block: Block) -> tuple[Any, dict[str, Any]] | None:
    """The type and the fields of a block that shows a part of a manifest; None for other YAML."""
    tree = yaml.safe_load(block.text) if not block.objects and "\n---\n" not in block.text else None
    if isinstance(tree, dict) and tree.keys() == {"spec"}:
        return (WorkTemplateSpec if "gvr" in tree["spec"] else WorkflowSpec), tree["spec"]
    flow_fields = {field.encode_name for field in msgspec.structs.fields(Flow)}
    return (Flow, tree) if isinstance(tree, dict) and tree.keys() <= flow_fields else None


FRAGMENTS = [block for block in BLOCKS if fragment_of(block) is not None]


@pytest.mark.parametrize("block", FRAGMENTS, ids=lambda block: block.where)
def test_a_fragment_has_fields_that_exist(block: Block) -> None:
    fragment = fragment_of(block)
    assert fragment is not None
    faults = [fault for fault in schema_faults(fragment[1], fragment[0], "") if fault.message != "must be given"]
    assert bool(faults) == block.is_faulty, faults


def test_enough_manifests_are_checked() -> None:
    """A change of the documents' form must not leave them unread."""
    documents = {block.where.partition(":")[0] for block in MANIFESTS}
    assert documents >= {"README.md", "docs/api.md", "docs/migration.md"}
    assert len(FRAGMENTS) >= 2
    assert sum(block.can_run for block in MANIFESTS) >= 4


TEXT = """# Title

```yaml
retry: {maxRetries: 1}
```

<!-- faulty -->
```yaml
apiVersion: flow.workflow.sh/v1alpha1
kind: Workflow
metadata: {name: w}
spec: {flows: [{name: a, dependsOn: {targets: [b]}}]}
```

```console
$ kubectl get wkf
```
"""


def test_how_blocks_are_found() -> None:
    fragment, faulty = blocks_of("docs/x.md", TEXT)
    assert (fragment.where, fragment.objects, fragment.is_faulty) == ("docs/x.md:4", (), False)
    assert (faulty.where, len(faulty.objects), faulty.is_faulty, faulty.can_run) == ("docs/x.md:9", 1, True, False)
