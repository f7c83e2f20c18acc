"""Reads single figures from a controller's /metrics, which is the text format of Prometheus."""

from __future__ import annotations

import urllib.request


def total(text: str, wanted: str, /, **labels: str) -> float:
    """The sum of all samples of that name which have these labels; 0 if there are none."""
    found = 0.0
    for line in text.splitlines():
        head, _, value = line.rpartition(" ")
        series, _, pairs = head.partition("{")
        if series == wanted and all(f'{key}="{label}"' in pairs for key, label in labels.items()):
            found += float(value)
    return found


def metric(port: int, wanted: str, /, **labels: str) -> float:
    """`total` of what 127.0.0.1:port serves now; 0 if nobody answers."""
    try:
        text = metrics(port)
    except OSError:
        return 0.0
    return total(text, wanted, **labels)


def metrics(port: int) -> str:
    """All that 127.0.0.1:port serves now. OSError if nobody answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())
