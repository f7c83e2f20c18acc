"""Gives a name several addresses of this machine, in the process that finds this file in its PYTHONPATH.

WORKFLOW_FAULTS_HOSTS holds the name and its addresses, as `NAME=ADDRESS,ADDRESS`. No name server of this machine can be
made to give an answer of two addresses without changing the machine itself.
"""

from __future__ import annotations

import os
import socket
from typing import Any

_name, _, _addresses = os.environ.get("WORKFLOW_FAULTS_HOSTS", "").partition("=")
_resolve = socket.getaddrinfo


def _getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
    if host != _name:
        return _resolve(host, port, *args, **kwargs)
    return [found for address in _addresses.split(",") for found in _resolve(address, port, *args, **kwargs)]


if _name:
    socket.getaddrinfo = _getaddrinfo
