"""Every YAML block of the documents can be read, and every manifest of ours in them is right."""

from __future__ import annotations

import pytest
import yaml

from pkg.controllers.lint import lint
from tests.documents import BLOCKS, MANIFESTS, Block, blocks_of


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.where)
def test_a_block_is_yaml(block: Block) -> None:
    assert list(yaml.safe_load_all(block.text))


@pytest.mark.parametrize("block", MANIFESTS, ids=lambda block: block.where)
def test_a_manifest_is_judged_as_the_document_says(block: Block) -> None:
    faults = [str(finding) for finding in lint({block.where: block.text}) if not finding.is_warning]
    assert bool(faults) == block.is_faulty, faults


def test_enough_manifests_are_checked() -> None:
    """A change of the documents' form must not leave them unread."""
    documents = {block.where.partition(":")[0] for block in MANIFESTS}
    assert documents >= {"README.md", "docs/api.md", "docs/migration.md"}
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
