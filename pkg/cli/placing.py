"""In which namespace an object of a file belongs."""

from __future__ import annotations

from pkg.cli.connection import Connection
from pkg.cli.problems import Problem
from pkg.views.manifests.documents import Document


def namespace_of(connection: Connection, document: Document) -> str:
    """The namespace of an object: its own, else that of the command; they must not contradict each other."""
    own, given = str(document.metadata.get("namespace") or ""), connection.given_namespace
    if own and given and own != given:
        raise Problem(f"{document.at('metadata.namespace')}: {document.title} is of namespace {own}, not of -n {given}")
    return own or connection.namespace
