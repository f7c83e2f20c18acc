"""Jobs as the API server takes them: lists that merge by their own keys, and values with the type of their place."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.cluster import Cluster
from hack.faults import answers
from hack.faults.messages import Request
from hack.faults.proxy import Proxy
from pkg.apis.meta import GVR
from tests.cluster.conftest import StartController, wait_established
from tests.cluster.support import kinds
from tests.cluster.support.history import Object
from tests.cluster.support.manifests import API, JOBS, crd, flow, workflow
from tests.cluster.support.world import World

pytestmark = pytest.mark.cluster
GROUP = "typed.example.com"
PANELS = GVR(GROUP, "v1", "panels")
REAL_SPARK = kinds.REAL / "sparkoperator.k8s.io_sparkapplications.yaml"


def job_template(name: str, pod: Object, *, parameters: dict[str, str] | None = None, **job: Any) -> Object:
    """A WorkTemplate of Jobs with this pod."""
    pod = {"restartPolicy": "Never", **pod}
    spec = {"gvr": JOBS, "jobSpec": {"backoffLimit": 0, "template": {"spec": pod}, **job}}
    given = [{"name": key, "value": value} for key, value in (parameters or {}).items()]
    return {
        "apiVersion": API,
        "kind": "WorkTemplate",
        "metadata": {"name": name},
        "spec": {**spec, "parameters": given},
    }


def container(**fields: Any) -> Object:
    return {"name": "main", "image": "busybox:1.36", **fields}


def pod_patch(**pod: Any) -> Object:
    return {"spec": {"template": {"spec": pod}}}


def pod_of(world: World, name: str) -> Object:
    """The pod template of a Job once it exists."""
    found: Object = world.wait_job(name)["spec"]["template"]["spec"]
    return found


def keyed(items: list[Object], *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(item.get(field) for field in fields) for item in items]


def test_lists_merge_by_the_key_that_identifies_their_items(world: World, start_controller: StartController) -> None:
    start_controller()
    scratch = {"name": "scratch", "mountPath": "/scratch"}
    keys = [
        {"name": "keys", "mountPath": "/root/.conf", "subPath": "conf", "readOnly": True},
        {"name": "keys", "mountPath": "/root/.token", "subPath": "token", "readOnly": True},
    ]
    volume = {"name": "keys", "emptyDir": {}}
    blocks = [{"name": "raw", "devicePath": "/dev/a"}]
    full = container(
        volumeMounts=[scratch],
        volumeDevices=blocks,
        env=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
        envFrom=[{"configMapRef": {"name": "old"}}],
        ports=[{"name": "web", "containerPort": 80}, {"containerPort": 81}],
    )
    claims = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in ("raw", "more")]
    pod = {
        "containers": [full],
        "volumes": [{"name": "scratch", "emptyDir": {}}, *claims],
        "hostAliases": [{"ip": "127.0.0.9", "hostnames": ["a"]}],
        "tolerations": [{"key": "a", "operator": "Exists"}],
    }
    world.create_all((job_template("one", pod), job_template("none", {"containers": [container()]})))
    files = pod_patch(containers=[{"name": "main", "volumeMounts": keys}], volumes=[volume])
    change = {"name": "main", "volumeMounts": [{"name": "scratch", "mountPath": "/scratch", "readOnly": True}]}
    more = {
        "name": "main",
        "volumeDevices": [{"name": "more", "devicePath": "/dev/b"}],
        "env": [{"name": "B", "value": "2"}, {"name": "C", "value": "3"}],
        "envFrom": [{"secretRef": {"name": "new"}}],
        "ports": [{"containerPort": 82}],
    }
    aliases = [{"ip": "127.0.0.9", "hostnames": ["b"]}, {"ip": "127.0.0.10", "hostnames": ["c"]}]
    relatives = pod_patch(containers=[more], hostAliases=aliases, tolerations=[{"key": "b", "operator": "Exists"}])
    world.create(
        workflow(
            "c01",
            flow("files", of="one", patch=files),
            flow("none", of="none", patch=files),
            flow("change", of="one", patch=pod_patch(containers=[change])),
            flow("relatives", of="one", patch=relatives),
        )
    )
    mounts = {
        name: keyed(pod_of(world, f"c01-{name}")["containers"][0]["volumeMounts"], "name", "mountPath", "readOnly")
        for name in ("files", "none", "change")
    }
    added = [("keys", "/root/.conf", True), ("keys", "/root/.token", True)]
    assert mounts == {
        "files": [("scratch", "/scratch", None), *added],
        "none": added,
        "change": [("scratch", "/scratch", True)],
    }
    found = pod_of(world, "c01-relatives")
    main = found["containers"][0]
    assert keyed(main["volumeDevices"], "name", "devicePath") == [("raw", "/dev/a"), ("more", "/dev/b")]
    own = [item for item in keyed(main["env"], "name", "value") if not item[0].startswith("WORKFLOW_")]
    assert own == [("A", "1"), ("B", "2"), ("C", "3")]
    assert main["envFrom"] == [{"secretRef": {"name": "new"}}], "a list without a key is replaced"
    assert keyed(main["ports"], "containerPort") == [(82,)], "as is one whose items do not all have a name"
    assert keyed(found["hostAliases"], "ip", "hostnames") == [("127.0.0.9", ["b"]), ("127.0.0.10", ["c"])]
    assert keyed(found["tolerations"], "key") == [("b",)]


def test_a_doubled_key_in_a_list_that_would_be_merged_fails_the_task_and_names_the_list(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    twice = [{"name": "keys", "mountPath": "/root/.conf"}, {"name": "other", "mountPath": "/root/.conf"}]
    doubled = job_template("doubled", {"containers": [container(volumeMounts=twice)]})
    single = job_template("single", {"containers": [container(volumeMounts=twice[:1])]})
    world.create_all((doubled, single))
    world.create(
        workflow(
            "c01",
            flow(
                "in-template", of="doubled", patch=pod_patch(containers=[{"name": "main", "volumeMounts": twice[:1]}])
            ),
            flow("in-patch", of="single", patch=pod_patch(containers=[{"name": "main", "volumeMounts": twice}])),
            successPolicy={"type": "All", "remaining": "Continue"},
        )
    )
    world.wait_phase("c01")
    for name, whose in (("in-template", "the template's list"), ("in-patch", "the patch's list")):
        found = world.flow("c01", name)
        assert (found["phase"], found["reason"]) == ("Failed", "RenderError")
        assert f'{whose} "spec.template.spec.containers[0].volumeMounts"' in found["message"]
        assert "/root/.conf" in found["message"]
    assert world.latest_jobs("c01") == []


def test_a_lone_variable_takes_the_type_of_its_place_in_a_built_in_kind(
    world: World, start_controller: StartController
) -> None:
    start_controller()
    main = container(
        args=["{{params.day}}", "{{params.pool}}"],
        env=[{"name": "DAY", "value": "{{params.day}}"}],
        ports=[{"containerPort": "{{params.uid}}"}],
        resources={"requests": {"cpu": "{{params.num}}"}},
        readinessProbe={"httpGet": {"port": "{{params.uid}}", "path": "{{params.num}}"}},
        livenessProbe={"httpGet": {"port": "{{params.pool}}", "path": "/"}},
    )
    pod = {
        "containers": [main],
        "securityContext": {"runAsUser": "{{params.uid}}"},
        "automountServiceAccountToken": "{{params.pool}}",
        "priorityClassName": "{{params.empty}}",
    }
    given = {"pool": "true", "day": "20240115", "uid": "1000", "num": "0", "empty": "", "word": "ten"}
    world.create(job_template("job", pod, parameters=given, backoffLimit="{{params.num}}"))
    tolerations = [{"key": "dedicated", "operator": "Equal", "value": "{{params.pool}}", "effect": "NoSchedule"}]
    pointer = "/spec/template/spec/terminationGracePeriodSeconds"
    world.create(
        workflow(
            "c02",
            flow("numbers", of="job"),
            flow("toleration", of="job", patch=pod_patch(tolerations=tolerations)),
            flow("pointer", of="job", patch=[{"op": "add", "path": pointer, "value": "{{params.uid}}"}]),
            flow("said", of="job", patch=pod_patch(tolerations="{{params.list | json}}"))
            | {"parameters": [{"name": "list", "value": '[{"key": "a", "operator": "Exists"}]'}]},
            flow("wrong", of="job", patch={"spec": {"backoffLimit": "{{params.word}}"}}),
            flow("list", of="job", patch=pod_patch(tolerations="{{params.word}}")),
            successPolicy={"type": "All", "remaining": "Continue"},
        )
    )
    job = world.wait_job("c02-numbers")["spec"]
    main = job["template"]["spec"]["containers"][0]
    assert (job["backoffLimit"], job["template"]["spec"]["securityContext"]["runAsUser"]) == (0, 1000)
    assert main["args"] == ["20240115", "true"]
    assert {"name": "DAY", "value": "20240115"} in main["env"]
    assert main["ports"][0]["containerPort"] == 1000
    assert main["resources"]["requests"]["cpu"] == "0"
    assert (main["readinessProbe"]["httpGet"]["port"], main["readinessProbe"]["httpGet"]["path"]) == (1000, "0")
    assert main["livenessProbe"]["httpGet"]["port"] == "true", "int-or-string never becomes a boolean"
    assert job["template"]["spec"]["automountServiceAccountToken"] is True
    assert pod_of(world, "c02-toleration")["tolerations"][0]["value"] == "true"
    assert pod_of(world, "c02-pointer")["terminationGracePeriodSeconds"] == 1000
    assert keyed(pod_of(world, "c02-said")["tolerations"], "key") == [("a",)]
    for name, place, wanted in (
        ("wrong", "patch.spec.backoffLimit", "an integer of 32 bits"),
        ("list", "patch.spec.template.spec.tolerations", 'a list; write "| json"'),
    ):
        found = world.wait_flow("c02", name, "Failed", reason="RenderError")
        assert f'{place}: {{{{params.word}}}} is "ten", and this place takes {wanted}' in found["message"]


def panel(size: str) -> Object:
    """The CRD of Panels, whose `spec.size` has this type. `spec.free` may hold anything."""
    definition = crd(GROUP, "Panel")
    tree: Object = {"type": "object", "properties": {"depth": {"type": "integer"}}}
    spec = {
        "type": "object",
        "properties": {
            "size": {"type": size},
            "port": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True},
            "share": {"type": "number"},
            "on": {"type": "boolean"},
            "words": {"type": "array", "items": {"type": "string"}},
            "args": {"type": "array", "items": {"type": "integer"}},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            "tree": tree,
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    schema = {"type": "object", "properties": {"spec": spec, "status": {"type": "object"}}}
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    return definition


def made(world: World, name: str) -> Object:
    """The spec of a Panel once it exists."""
    world.history.wait(lambda: world.history.get("panels", name), 30, f"panel {name}")
    found = world.history.get("panels", name)
    assert found is not None
    spec: Object = found["spec"]
    return spec


def test_a_lone_variable_takes_the_type_that_a_crd_gives_its_place_also_after_the_crd_changes(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    api = cluster.api()
    start_controller()
    variable = "{{params.x}}"
    spec = {
        "size": variable,
        "port": variable,
        "share": variable,
        "words": [variable],
        "args": [variable],
        "tags": {"t": variable},
        "tree": {"depth": variable},
        "free": {"any": variable, "args": [variable], "labels": {"l": variable}},
    }
    template: Object = {"gvr": {"group": GROUP, "version": "v1", "resource": "panels"}, "jobSpec": spec}
    template["parameters"] = [{"name": "x", "value": "7"}]
    world.create({"apiVersion": API, "kind": "WorkTemplate", "metadata": {"name": "panel"}, "spec": template})
    # The kind comes after the workflow that waits for it.
    world.create(workflow("early", flow("a", of="panel")))
    wait_established(api, kinds.install(api, panel("string")))
    world.follow(f"apis/{GROUP}/v1/panels")
    assert made(world, "early-a") == {
        "size": "7",
        "port": 7,
        "share": 7,
        "words": ["7"],
        "args": [7],
        "tags": {"t": "7"},
        "tree": {"depth": 7},
        "free": {"any": 7, "args": ["7"], "labels": {"l": "7"}},
    }
    world.create(workflow("half", flow("a", of="panel") | {"parameters": [{"name": "x", "value": "0.5"}]}))
    found = world.wait_flow("half", "a", "Failed", reason="RenderError")
    assert 'template.jobSpec.args[0]: {{params.x}} is "0.5", and this place takes an integer' in found["message"]
    world.patch(f"{kinds.CRDS}/panels.{GROUP}", {"spec": {"versions": panel("integer")["spec"]["versions"]}})
    number = itertools.count()

    def is_typed_anew() -> bool:
        name = f"later-{next(number)}"
        world.create(workflow(name, flow("a", of="panel")))
        found = world.wait_flow(name, "a", "Pending", "Failed")
        if found["phase"] == "Failed":
            assert found["reason"] == "Refused", "the API server took the new schema before the controller did"
            return False
        return bool(made(world, f"{name}-a")["size"] == 7)

    world.history.wait(is_typed_anew, 30, "the new schema")


def test_values_hold_variables_and_a_missing_one_is_invalid(world: World, start_controller: StartController) -> None:
    start_controller()
    given = {"out": "/data/{{workflow.name}}/{{flow.name}}-{{index}}", "base": "b"}
    pod = {"containers": [container(args=["{{params.out}}", "{{params.mine}}"])]}
    world.create(job_template("values", pod, parameters={**given, "mine": "default"}))
    mine = {"parameters": [{"name": "mine", "value": "{{params.base}}+{{params.out}}"}]}
    world.create(
        workflow("good", flow("a", of="values") | mine, parameters=[{"name": "base", "value": "w"}]),
    )
    assert pod_of(world, "good-a")["containers"][0]["args"] == ["/data/good/a-0", "w+/data/good/a-0"]
    lost = {"parameters": [{"name": "mine", "value": "{{params.bass}}"}]}
    world.create(workflow("lost", flow("a", of="values") | lost))
    found = world.wait_phase("lost")
    assert (found["phase"], found["reason"]) == ("Failed", "Invalid")
    assert 'spec.flows[0].parameters[0].value: no parameter is named "bass"' in found["message"]
    assert 'did you mean "base"?' in found["message"]
    world.create(workflow("self", flow("a", of="values"), parameters=[{"name": "base", "value": "{{params.base}}x"}]))
    found = world.wait_phase("self")
    assert (found["reason"], "which is itself" in found["message"]) == ("Invalid", True)
    world.create(job_template("unset", {"containers": [container(args=["{{params.nobody}}"])]}))
    world.create(workflow("unset", flow("a", of="unset")))
    world.wait_phase("unset")
    found = world.flow("unset", "a")
    assert found["reason"] == "RenderError"
    assert "template.jobSpec.template.spec.containers[0].args[0]: {{params.nobody}} has no value" in found["message"]


class WithoutSchemas(Proxy):
    """A way to the API server on which its schemas do not come: it gives this answer, or none at all."""

    answer = b""
    asked = 0

    async def _relay(self, request: Request, upstream: Any, writer: Any, address: str) -> None:
        if not request.target.startswith("/openapi"):
            await super()._relay(request, upstream, writer, address)
            return
        self.asked += 1
        if not self.answer:
            await asyncio.sleep(3600)
        writer.write(self.answer)
        await writer.drain()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="silence"),
        pytest.param(answers.FAILED, id="500"),
        pytest.param(answers.NOT_SERVED, id="404"),
        pytest.param(answers.NO_PAGE, id="404 of somebody else"),
        pytest.param(answers.FAILED.replace(b"500 Internal Server Error", b"403 Forbidden"), id="403"),
    ],
)
def test_a_kind_whose_schema_does_not_come_is_used_without_it_after_some_seconds(
    cluster: Cluster, world: World, start_controller: StartController, tmp_path: Path, answer: bytes
) -> None:
    with WithoutSchemas(cluster.kubeconfig, tmp_path / "proxy", seed=1) as proxy:
        proxy.answer = answer
        controller = start_controller("--leader-elect=false", kubeconfig=proxy.kubeconfig)
        typed = job_template("typed", {"containers": [container(args=["{{index}}"])]}, backoffLimit="{{index}}")
        plain = job_template("plain", {"containers": [container(command=["sh", "-c", "echo {{index}}"])]})
        world.create_all((typed, plain))
        began = time.monotonic()
        world.create(workflow("without", flow("typed", of="typed"), flow("plain", of="plain")))
        world.wait_job("without-plain", 4)
        assert world.history.get("jobs", "without-typed") is None, "it waits for the type of backoffLimit"
        message = "the types of the fields of jobs.v1.batch are being read"
        world.wait_flow("without", "typed", "Waiting", reason="KindSyncing", message=message)
        job = world.wait_job("without-typed", 15)["spec"]
        assert time.monotonic() - began < 12
        assert job["backoffLimit"] == 0
        assert job["template"]["spec"]["containers"][0]["args"] == ["0"]
        assert proxy.asked > 0
        controller.wait_log("the schema of a kind did not come, so the kind is used without it")


@pytest.mark.skipif(not REAL_SPARK.exists(), reason="no copy of the CRD of Spark")
def test_numbers_in_the_arguments_of_a_spark_application_stay_text(
    cluster: Cluster, world: World, start_controller: StartController
) -> None:
    api = cluster.api()
    wait_established(api, kinds.install(api, yaml.safe_load(REAL_SPARK.read_text())))
    world.follow("apis/sparkoperator.k8s.io/v1beta2/sparkapplications")
    start_controller()
    spec = {
        "type": "Python",
        "mode": "cluster",
        "sparkVersion": "3.5.1",
        "image": "spark:3.5.1",
        "mainApplicationFile": "local:///app/main.py",
        "arguments": ["--partitions", "{{params.parts}}"],
        "driver": {"cores": 1, "memory": "512m"},
        "executor": {"cores": 1, "instances": "{{params.parts}}", "memory": "512m"},
    }
    template: Object = {"gvr": {"group": "sparkoperator.k8s.io", "version": "v1beta2", "resource": "sparkapplications"}}
    template |= {"parameters": [{"name": "parts", "value": "200"}], "jobSpec": spec}
    world.create({"apiVersion": API, "kind": "WorkTemplate", "metadata": {"name": "spark"}, "spec": template})
    world.create(workflow("c02", flow("spark", of="spark")))
    world.history.wait(lambda: world.history.get("sparkapplications", "c02-spark"), 30, "the application")
    found = world.history.get("sparkapplications", "c02-spark")
    assert found is not None
    assert found["spec"]["arguments"] == ["--partitions", "200"]
    assert found["spec"]["executor"]["instances"] == 200
