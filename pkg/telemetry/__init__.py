"""Logs, metrics and the HTTP server for them and for health checks.

Every metric is defined here; who counts it, and what is healthy, belongs to the packages that use it. Nothing here
knows a Workflow.
"""
