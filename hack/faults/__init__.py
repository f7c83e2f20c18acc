"""Faults on a real cluster: the controller killed, the API server killed, a proxy that lies; and the judge of it all.

`python -m hack.faults` runs every fault; tests/faults runs the same functions, smaller.
"""
