"""Checks the metrics, and the rules of docs/metrics.md, with Prometheus's own `promtool`."""
