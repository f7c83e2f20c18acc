"""docs/metrics.md lists every metric with its type and labels; alerts and dashboard use metrics that exist."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client.metrics import MetricWrapperBase

from hack.manifests import dashboard
from hack.promtool import rules
from pkg.telemetry.census import Census
from pkg.telemetry.dashboard_metrics import DashboardMetrics
from pkg.telemetry.metrics import Metrics
from pkg.telemetry.webhook_metrics import WebhookMetrics

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "metrics.md").read_text("utf-8")
LISTED = re.findall(r"^\| `(\w+)` \| (\w+) \|([^|]*)\| \S.* \|$", TEXT, re.MULTILINE)


def exported() -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels of every metric of the controller, the webhook and the dashboard."""
    metrics = Metrics()
    metrics.follow_workflows(lambda: Census({"Running": 1}, {"Running": 1}, {"Quota": 1}, {"Quota": 1}, 0))
    metrics.follow_renewals("wc", lambda: 1.0)
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for value in (
        value
        for holder in (metrics, metrics.api, metrics.crons, metrics.locks, WebhookMetrics(), DashboardMetrics())
        for value in vars(holder).values()
    ):
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


# Words of PromQL, and label names, are no metrics. `up` and `process_*` are Prometheus's own.
WORD = re.compile(r"[a-z]+_[a-z0-9_]+(?=[{\[)\s,]|$)")
FOREIGN = re.compile(r"process_\w+|histogram_quantile")


def used_in(expression: str) -> set[str]:
    """The metrics that an expression of PromQL reads."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return {name for name in WORD.findall(bare) if not FOREIGN.fullmatch(name)}


def queries() -> list[tuple[str, str]]:
    """Where an expression is, and the expression: those of the alerts, and those of the dashboard."""
    alerts = [(rule.get("alert", "a record"), rule["expr"]) for group in rules.groups() for rule in group["rules"]]
    panels = [(panel.title, query) for _, row in dashboard.ROWS for panel in row for query, _ in panel.queries]
    return alerts + panels


def test_alerts_and_dashboard_use_metrics_that_exist() -> None:
    names = set(exported()) | {f"{name}_bucket" for name, (kind, _) in exported().items() if kind == "histogram"}
    assert {where: used_in(text) - names for where, text in queries() if used_in(text) - names} == {}
    assert len({name for _, text in queries() for name in used_in(text)}) > 20


def test_every_alert_is_documented_and_says_what_to_do() -> None:
    found = [rule for group in rules.groups() for rule in group["rules"] if "alert" in rule]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| \S.* \|$", TEXT.split("| alert |")[1], re.MULTILINE)
    assert rows == [(rule["alert"], rule["labels"]["severity"]) for rule in found]
    assert [rule["alert"] for rule in found if not rule["annotations"].get("action")] == []


def test_every_alert_is_tested_to_fire_and_not_to() -> None:
    cases = [case for test in yaml.safe_load(rules.TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    alerts = {rule["alert"] for group in rules.groups() for rule in group["rules"] if "alert" in rule}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == alerts
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == alerts
