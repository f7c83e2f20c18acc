"""One namespace of the test cluster: creates and changes objects in it, and waits for facts."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hack.cluster.api import Api, ApiStatusError
from pkg.apis.flow.v1alpha1 import labels
from tests.cluster.support.history import History, Object

FINAL = ("Succeeded", "Failed")
# Seconds for what takes one or two on a quiet machine. A busy machine must not fail a test.
PATIENCE = 90.0
MADE = ("jobs", "deployments")
FOLLOWED = ("apis/flow.workflow.sh/v1alpha1/workflows", "apis/batch/v1/jobs", "apis/apps/v1/deployments")
_PLURALS = {"NetworkPolicy": "networkpolicies"}


@dataclass(frozen=True, slots=True, order=True)
class Attempt:
    """Which attempt a job is: its workflow's UID, flow, index (empty without `for`) and the attempt's number."""

    uid: str
    flow: str
    index: str
    number: int


def attempt_of(job: Object) -> Attempt:
    """The attempt that the labels of a job name."""
    found = job["metadata"]["labels"]
    return Attempt(
        found[labels.WORKFLOW_UID], found[labels.FLOW], found.get(labels.INDEX, ""), int(found[labels.ATTEMPT])
    )


class World:
    """A namespace and all that was seen in it. Calls raise ApiStatusError for an answer that is an error."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.history = History(api)
        for path in FOLLOWED:
            self.follow(path)

    def follow(self, collection: str) -> None:
        """Keep the history of one more collection, such as `apis/batch/v1/jobs`."""
        root, _, resource = collection.rpartition("/")
        self.history.follow(f"/{root}/namespaces/{self.namespace}/{resource}")

    def path(self, document: Object, name: str = "") -> str:
        """URL path of the collection (of the object, with a name) that a document belongs to."""
        version, kind = document["apiVersion"], document["kind"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        plural = _PLURALS.get(kind, f"{kind.lower()}s")
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def create(self, document: Object) -> Object:
        """Make one object in this namespace, whichever it names."""
        body = {**document, "metadata": {**document["metadata"], "namespace": self.namespace}}
        made: Object = json.loads(self.api.request("POST", self.path(document), body))
        return made

    def create_all(self, documents: Iterable[Object]) -> None:
        """Make them in that order."""
        for document in documents:
            self.create(document)

    def workflow_path(self, name: str) -> str:
        return f"/apis/flow.workflow.sh/v1alpha1/namespaces/{self.namespace}/workflows/{name}"

    def job_path(self, name: str) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs/{name}"

    def patch(self, path: str, change: Object) -> Object:
        """Merge `change` into the object (or its subresource) at that path."""
        body = self.api.request("PATCH", path, change, content_type="application/merge-patch+json")
        changed: Object = json.loads(body)
        return changed

    def delete(self, path: str, propagation: str = "Background") -> None:
        """Delete what is at that path."""
        self.api.request(
            "DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        )

    def status(self, name: str) -> Object:
        """The status of a workflow as last seen; empty if it has none yet, or is not there."""
        found = self.history.get("workflows", name)
        return dict(found.get("status") or {}) if found else {}

    def flow(self, name: str, flow: str) -> Object:
        """One flow of a workflow's status; empty if there is none yet."""
        return next((found for found in self.status(name).get("flows", ()) if found["name"] == flow), {})

    def jobs(self, workflow: str = "") -> list[Object]:
        """The batch/v1 Jobs that exist, of one workflow or of all."""
        return _of(workflow, self.history.now("jobs"))

    def latest_jobs(self, workflow: str = "") -> list[Object]:
        """The same, as the API server has them now: the watch of Workflows may be ahead of that of Jobs."""
        return _of(workflow, self.history.latest("jobs"))

    def wait_phase(self, name: str, phases: Sequence[str] = FINAL, seconds: float = PATIENCE) -> Object:
        """The status of a workflow once its phase is one of these."""
        self.history.wait(
            lambda: self.status(name).get("phase") in phases,
            seconds,
            lambda: f"workflow {name} in phase {' or '.join(phases)}; its status: {self.status(name)}",
        )
        return self.status(name)

    def wait_flow(self, name: str, flow: str, *phases: str, seconds: float = PATIENCE, **fields: Any) -> Object:
        """One flow's status once its phase is one of these, and the given fields have the given values."""

        def there() -> bool:
            found = self.flow(name, flow)
            return found.get("phase") in phases and all(found.get(key) == value for key, value in fields.items())

        self.history.wait(
            there, seconds, lambda: f"flow {flow} {phases} {fields or ''}; the status of {name}: {self.status(name)}"
        )
        return self.flow(name, flow)

    def wait_message(self, name: str, flow: str, pattern: str, seconds: float = PATIENCE) -> str:
        """The message of a flow once it matches."""

        def message() -> str:
            return str(self.flow(name, flow).get("message", ""))

        self.history.wait(
            lambda: re.search(pattern, message()),
            seconds,
            lambda: f"{pattern} in the message of {flow}; the status of {name}: {self.status(name)}",
        )
        return message()

    def wait_job(self, name: str, seconds: float = PATIENCE) -> Object:
        """A job once it exists."""
        self.history.wait(lambda: self.history.get("jobs", name), seconds, f"a job called {name}")
        found = self.history.get("jobs", name)
        assert found is not None
        return found

    def made(self, *resources: str) -> dict[Attempt, set[str]]:
        """The uids of all jobs ever seen (Jobs and Deployments by default), by the attempt they were made for."""
        found: dict[Attempt, set[str]] = {}
        for resource in resources or MADE:
            for seen in self.history.sightings(resource):
                if labels.WORKFLOW_UID in seen.object["metadata"].get("labels", {}):
                    found.setdefault(attempt_of(seen.object), set()).add(seen.object["metadata"]["uid"])
        return found

    def attempts(self, workflow: str) -> dict[str, int]:
        """How many attempts each flow of a workflow had, by its status; flows without one are left out."""
        return {flow["name"]: flow["attempts"] for flow in self.status(workflow)["flows"] if flow.get("attempts")}

    def phases(self, workflow: str) -> dict[str, str]:
        """The phase of each flow, by the status."""
        return {flow["name"]: flow["phase"] for flow in self.status(workflow)["flows"]}

    def remove(self) -> None:
        """Delete the namespace, without waiting. Finalizers that a test gave to our objects in it hold none of them."""
        self.history.close()
        with contextlib.suppress(ApiStatusError, OSError):
            self.api.request("DELETE", f"/api/v1/namespaces/{self.namespace}")
        for resource in ("workflows", "cronworkflows", "worktemplates"):
            path = f"/apis/flow.workflow.sh/v1alpha1/namespaces/{self.namespace}/{resource}"
            with contextlib.suppress(ApiStatusError, OSError, RecursionError):  # one may be nested too deeply to read
                for found in self.api.get(path)["items"]:
                    if found["metadata"].get("finalizers"):
                        with contextlib.suppress(ApiStatusError):  # it is gone by now
                            self.patch(f"{path}/{found['metadata']['name']}", {"metadata": {"finalizers": None}})


def no_attempt_twice(world: World, *resources: str) -> dict[Attempt, set[str]]:
    """Asserts that no attempt ever had two jobs, and that none comes without the one before it; returns them all."""
    for resource in resources or MADE:
        world.history.catch_up(resource)
    made = world.made(*resources)
    assert made, "nothing was made"
    assert {attempt: uids for attempt, uids in made.items() if len(uids) != 1} == {}
    for attempt in made:
        if attempt.number:
            before = Attempt(attempt.uid, attempt.flow, attempt.index, attempt.number - 1)
            assert before in made, f"{attempt} came without the one before it"
    return made


def _of(workflow: str, jobs: Iterable[Object]) -> list[Object]:
    """Those of one workflow, or of all."""
    return [job for job in jobs if workflow in ("", job["metadata"]["labels"][labels.WORKFLOW])]
