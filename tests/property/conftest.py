"""How many examples the property tests take: HYPOTHESIS_PROFILE=default (500) or long (10,000).

The default run takes the same examples every time, so that a failure can be repeated. The long run takes new ones.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)
settings.register_profile(
    "default", max_examples=500, derandomize=True, deadline=None, print_blob=True, suppress_health_check=_SLOW
)
settings.register_profile("long", max_examples=10_000, deadline=None, print_blob=True, suppress_health_check=_SLOW)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True, scope="package")
def _quiet() -> Iterator[None]:
    """Thousands of simulated passes log nothing."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
