"""Checks the metrics, and the alerts of installer/, with Prometheus's own `promtool`."""
