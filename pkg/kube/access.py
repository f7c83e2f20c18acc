"""Asks the API server whether a person has a right: SubjectAccessReview."""

from __future__ import annotations

from typing import Any

import msgspec

from pkg.apis.flow.v1alpha1.people import Question
from pkg.apis.meta import GVR
from pkg.kube.client import Client

REVIEWS = GVR("authorization.k8s.io", "v1", "subjectaccessreviews")


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    allowed: bool
    reason: str = ""
    evaluation_error: str = ""


class _Review(msgspec.Struct, frozen=True):
    status: _Status


def is_allowed(client: Client, question: Question) -> bool:
    """The API server's answer. Raises KubeError if there is none."""
    person = question.person
    attributes = {
        "namespace": question.namespace,
        "verb": question.verb,
        "group": question.group,
        "resource": question.resource,
    }
    if question.name:
        attributes["name"] = question.name
    spec: dict[str, Any] = {"resourceAttributes": attributes, "user": person.user, "groups": person.groups}
    if person.uid:
        spec["uid"] = person.uid
    if person.extra:
        spec["extra"] = dict(person.extra)
    body = {"apiVersion": REVIEWS.api_version, "kind": "SubjectAccessReview", "spec": spec}
    return client.review(REVIEWS, body, _Review).status.allowed
