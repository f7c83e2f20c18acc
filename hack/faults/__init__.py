"""Faults on a real cluster: a killed controller or API server, a proxy that lies, hostile tenants; and the judge.

`python -m hack.faults` runs every fault; tests/faults runs the same functions, smaller.
"""
