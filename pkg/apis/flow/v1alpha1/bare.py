"""Kinds whose objects have no `.spec`: the keys of jobSpec and patch are those of the object itself, such as `data`.

The built-in ones are named here. Of other kinds the schema that the API server serves says it.
"""

from __future__ import annotations

from typing import Final

from pkg.apis.flow.v1alpha1.schema import NO_SCHEMA, Node, Schema, Type
from pkg.apis.meta import GVR

_BARE: Final = frozenset(
    {
        ("", "configmaps"),
        ("", "secrets"),
        ("", "serviceaccounts"),
        ("rbac.authorization.k8s.io", "roles"),
        ("rbac.authorization.k8s.io", "rolebindings"),
    }
)
#: First keys of JSON pointers that lead into objects without `.spec`.
KEYS: Final = frozenset(
    {
        "automountServiceAccountToken",
        "binaryData",
        "data",
        "immutable",
        "imagePullSecrets",
        "roleRef",
        "rules",
        "secrets",
        "stringData",
        "subjects",
        "type",
    }
)


def is_bare(gvr: GVR, schema: Schema | None = None) -> bool:
    """Whether objects of a kind have no `.spec`. schema: that of the kind, if it is known."""
    if (gvr.group, gvr.resource) in _BARE:
        return True
    fields = schema.root.fields if schema is not None else {}
    return bool(fields) and "spec" not in fields


def as_spec(schema: Schema | None) -> Schema | None:
    """The schema in which the keys of such a kind are also below `spec`, where a template has them."""
    if schema is None or schema is NO_SCHEMA:
        return schema
    root = schema.root
    return Schema(Node(Type.OBJECT, {**root.fields, "spec": root}, root.others), schema.parts, schema.has_status)
