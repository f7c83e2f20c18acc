"""docs/metrics.md lists every metric with its type and labels, and its rules use metrics that exist."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client.metrics import MetricWrapperBase

from hack.promtool.__main__ import rules
from pkg.telemetry.census import Census
from pkg.telemetry.metrics import Metrics
from pkg.telemetry.webhook_metrics import WebhookMetrics

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "metrics.md").read_text("utf-8")
LISTED = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\| \S.* \|$", TEXT, re.MULTILINE)


def exported() -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels of every metric of the controller and of the webhook."""
    metrics = Metrics()
    metrics.follow_workflows(lambda: Census({"Running": 1}, {"Running": 1}, {"Quota": 1}, {"Quota": 1}, 0))
    metrics.follow_renewals("wc", lambda: 1.0)
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for value in (value for holder in (metrics, metrics.api, WebhookMetrics()) for value in vars(holder).values()):
        if isinstance(value, MetricWrapperBase):
            [family] = value.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = (family.type, frozenset(value._labelnames))
    for family in metrics.registry.collect():
        if family.name not in found and f"{family.name}_total" not in found:
            found[family.name] = (family.type, frozenset(family.samples[0].labels))
    return found


def test_every_metric_is_listed_with_its_type_and_labels() -> None:
    assert {name: (kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in LISTED} == exported()


def test_the_rules_use_metrics_that_exist() -> None:
    [block] = rules(TEXT)
    names = set(exported()) | {f"{name}_bucket" for name, (kind, _) in exported().items() if kind == "histogram"}
    expressions = [rule["expr"] for group in yaml.safe_load(block)["groups"] for rule in group["rules"]]
    used = {name for text in expressions for name in re.findall(r"\b(?:web|work|rest|leader|reflector)\w+_\w+", text)}
    assert used
    assert used <= names
