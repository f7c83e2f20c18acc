"""What an owner may do to a workflow, at any moment and in any order: restart, stop, hold, change, delete, remake."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from tests.property.lifecycle import Lifecycle, lifecycles, live

EXAMPLES = settings.default.max_examples if settings.default else 500

pytestmark = pytest.mark.timeout(3 * EXAMPLES)


@settings(max_examples=EXAMPLES)
@given(lifecycles())
def test_whatever_its_owner_does_a_workflow_keeps_the_contract(scenario: Lifecycle) -> None:
    live(scenario)
