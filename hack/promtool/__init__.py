"""Checks the metrics, and the alerts of installer/monitoring, with Prometheus's own `promtool`."""
