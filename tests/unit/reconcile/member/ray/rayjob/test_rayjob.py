"""What is rendered, field by field where a field is a promise."""

from __future__ import annotations

import json

import pytest

from hansa.api.workgrant import WorkGrantSpec
from hansa.reconcile.member import data
from hansa.reconcile.member.contracts import alive
from hansa.reconcile.member.contracts.time_limits import Contract
from hansa.reconcile.member.platform.resolvers import KNOWN
from hansa.reconcile.member.ray import launcher
from hansa.reconcile.member.ray.rayjob import RayJob
from hansa.reconcile.member.run_namespace import waves
from hansa.reconcile.member.run_request import RenderOptions, lawful_places
from tests.residency_kit import EVERYWHERE, stands_in
from tests.unit.grants.grant_kit import grant, job, policy
from tests.unit.reconcile.member.ray.rendered_run import bodies, pods, rendered
from tests.unit.reconcile.member.run_request_kit import HOST_PATH, request


def config_maps(made=None):
    return {one["metadata"]["name"]: one for one in bodies(made) if one["kind"] == "ConfigMap"}


def test_waves_begin_with_the_namespace_and_end_with_the_rayjob():
    first, fences, last = waves(request(), RayJob())
    assert [c.body["kind"] for c in first] == ["Namespace"]
    assert [c.body["kind"] for c in last] == ["RayJob"]
    assert {c.body["kind"] for c in fences} == {
        *("ServiceAccount", "RoleBinding", "NetworkPolicy", "ResourceQuota", "ConfigMap"),
        *("PersistentVolume", "PersistentVolumeClaim"),
    }


def test_every_object_says_whose_it_is():
    for body in rendered().values():
        labels = body["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "hansa-member"
        assert labels["hansa.dev/epoch"] == "3"


def test_pods_say_whose_they_are_and_leave_the_rest_to_their_namespace():
    spec = rendered()["RayJob"]["spec"]
    cluster = spec["rayClusterSpec"]
    templates = [cluster["headGroupSpec"]["template"], spec["submitterPodTemplate"]]
    templates += [group["template"] for group in cluster["workerGroupSpecs"]]
    wanted = {
        f"hansa.dev/{name}" for name in ("institution", "job-uid", "job-namespace", "job-name")
    }
    for template in templates:
        labels = template["metadata"]["labels"]
        assert set(labels) == wanted
        assert labels.items() <= rendered()["Namespace"]["metadata"]["labels"].items()


def test_a_name_that_is_no_label_value_is_left_out():
    made = request()
    reference = made.grant.job.model_copy(update={"name": "x" * 200})
    long = request(grant=made.grant.model_copy(update={"job": reference}))
    assert "hansa.dev/job-name" not in long.labels


def test_the_namespace_enforces_restricted():
    labels = rendered()["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_namespace_carries_the_terms():
    agreed = Contract(unattended_limit_s=3585, max_runtime_s=7200, granted_s=1_000_000.0)
    assert rendered(request(contract=agreed))["Namespace"]["metadata"]["annotations"] == {
        "hansa.dev/granted-at": "1970-01-12T13:46:40Z",
        "hansa.dev/unattended-limit-seconds": "3585",
        "hansa.dev/max-runtime-seconds": "7200",
        "hansa.dev/start-limit-seconds": "900",
    }


def test_every_ray_container_ends_when_nobody_renews_its_file():
    made = request(now_s=1_000_000.0, alive_until_s=1_003_570.9)
    file = config_maps(made)["alive"]
    assert file["data"] == {"until": "1003570 1000000\n"}
    assert "immutable" not in file
    for role in ("head", "worker"):
        pod = pods(made)[role]["spec"]
        [container] = pod["containers"]
        assert {"name": "alive", "configMap": {"name": "alive"}} in pod["volumes"]
        [mount] = [m for m in container["volumeMounts"] if m["name"] == "alive"]
        # By subPath it would not follow the ConfigMap.
        assert mount == {"name": "alive", "mountPath": "/hansa-alive", "readOnly": True}
        assert container["livenessProbe"]["exec"]["command"] == ["/bin/sh", "-c", alive.PROBE]


def test_a_run_made_without_terms_ends_at_once():
    assert alive.read_until(config_maps()["alive"]) == 0


def test_the_service_account_has_no_token():
    assert rendered()["ServiceAccount"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("role", ["head", "worker", "submitter"])
def test_every_pod_is_restricted(role):
    pod = pods()[role]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    [container] = pod["containers"]
    security = container["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["privileged"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    for volume in pod["volumes"]:
        assert volume.keys() & {"emptyDir", "configMap", "persistentVolumeClaim"}


@pytest.mark.parametrize("role", ["head", "worker", "submitter"])
def test_every_pod_stays_in_its_jurisdiction(role):
    required = pods()[role]["spec"]["affinity"]["nodeAffinity"]
    [term] = required["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    places = term["matchExpressions"][0]
    assert places == {"key": "hansa.dev/jurisdiction", "operator": "In", "values": ["EE"]}
    built_for = term["matchExpressions"][1]
    assert built_for == {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}
    cards = [e for e in term["matchExpressions"] if e["key"] == "nvidia.com/gpu.product"]
    assert bool(cards) is (role == "worker")


def test_only_workers_have_gpus():
    made = pods()
    limits = {r: p["spec"]["containers"][0]["resources"]["limits"] for r, p in made.items()}
    assert limits["worker"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in limits["head"]
    assert "nvidia.com/gpu" not in limits["submitter"]
    start = rendered()["RayJob"]["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]
    assert start["num-gpus"] == "0"


def test_ray_is_authenticated_bounded_and_never_retried():
    spec = rendered()["RayJob"]["spec"]
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    assert spec["rayClusterSpec"]["rayVersion"] == "2.60.0"
    assert spec["activeDeadlineSeconds"] == 86_400 + 900
    assert spec["backoffLimit"] == 0
    assert spec["shutdownAfterJobFinishes"] is True
    group = spec["rayClusterSpec"]["workerGroupSpecs"][0]
    assert group["replicas"] == group["minReplicas"] == group["maxReplicas"] == 2


def test_nothing_may_talk_but_what_is_listed():
    spec = rendered()["NetworkPolicy"]["spec"]
    assert spec["podSelector"] == {}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    own, kuberay = spec["ingress"]
    assert own == {"from": [{"podSelector": {}}]}
    assert kuberay["ports"] == [{"protocol": "TCP", "port": 8265}]
    no_run = [{"key": "hansa.dev/job-uid", "operator": "DoesNotExist"}]
    assert kuberay["from"][0]["namespaceSelector"] == {"matchExpressions": no_run}
    assert len(spec["egress"]) == 2


def test_egress_and_kuberays_namespace_follow_the_member():
    law = {"egress": [{"cidr": "10.0.0.0/8", "ports": [443]}, {"cidr": "192.0.2.0/24"}]}
    made = request(law, data=[], options=RenderOptions(kuberay_namespace="ray"))
    spec = rendered(made)["NetworkPolicy"]["spec"]
    assert spec["egress"] == [
        {"to": [{"podSelector": {}}]},
        *(one.rule() for one in KNOWN),
        {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"protocol": "TCP", "port": 443}]},
        {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]},
    ]
    where = spec["ingress"][1]["from"][0]["namespaceSelector"]
    assert where == {"matchLabels": {"kubernetes.io/metadata.name": "ray"}}


def test_data_is_mounted_read_only_and_its_volume_never_deletes_it():
    cohort = {"name": "cohort", "jurisdiction": "EE", "claim": "c", "path": "2025/a"}
    law = {"datasets": [cohort | {"residency": EVERYWHERE}]}
    made = request(law)
    objects = rendered(made)
    volume, claim = objects["PersistentVolume"], objects["PersistentVolumeClaim"]
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert volume["spec"]["accessModes"] == ["ReadOnlyMany"]
    assert volume["spec"]["hostPath"] == HOST_PATH["hostPath"]
    assert volume["spec"]["claimRef"]["namespace"] == made.name
    assert "uid" not in volume["spec"]["claimRef"]
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"] == f"{made.name}-cohort"
    for role in ("head", "worker"):
        pod = pods(made)[role]["spec"]
        mount = next(m for m in pod["containers"][0]["volumeMounts"] if "data" in m["name"])
        assert mount == {
            "name": "data-cohort",
            "mountPath": "/data/cohort",
            "readOnly": True,
            "subPath": "2025/a",
        }
        source = next(v for v in pod["volumes"] if v["name"] == "data-cohort")
        assert source["persistentVolumeClaim"]["readOnly"] is True


def test_a_data_set_named_twice_is_mounted_once():
    made = request(data=[{"name": "cohort"}, {"name": "cohort"}])
    kinds = [c.body["kind"] for wave in waves(made, RayJob()) for c in wave]
    assert kinds.count("PersistentVolume") == 1


def test_network_volumes_are_read_only_at_the_source_too():
    nfs = {"capacity": {"storage": "1Gi"}, "nfs": {"server": "n", "path": "/x"}}
    volume = rendered(request(volumes={"cohort": nfs}))["PersistentVolume"]
    assert volume["spec"]["nfs"] == {"server": "n", "path": "/x", "readOnly": True}


VOLUMES = {
    "good": (HOST_PATH, ""),
    "no source": ({"capacity": {}}, "no source"),
    "block": (HOST_PATH | {"volumeMode": "Block"}, "block device"),
    "for one pod": ({"csi": {}, "accessModes": ["ReadWriteOncePod"]}, "one pod alone"),
}


@pytest.mark.parametrize("case", VOLUMES.values(), ids=VOLUMES.keys())
def test_which_volumes_can_be_lent(case):
    spec, why = case
    for machines in (1, 9):
        assert why in data.unusable(spec, machines)
        assert bool(data.unusable(spec, machines)) is bool(why)


ONCE, MANY = ["ReadWriteOnce"], ["ReadWriteOnce", "ReadOnlyMany"]
MODES = {
    "a disk for one machine": ({"csi": {}, "accessModes": ONCE}, 2, "runs.nodeSelector"),
    "where there is one machine": ({"csi": {}, "accessModes": ONCE}, 1, ""),
    "a disk that many may read": ({"csi": {}, "accessModes": MANY}, 2, ""),
    "a shared file system by a driver": ({"csi": {}, "accessModes": ["ReadWriteMany"]}, 2, ""),
    "a disk by its own name": ({"rbd": {}, "accessModes": ONCE}, 2, "and 2 take runs"),
    "a server's file system": ({"nfs": {}, "accessModes": ONCE}, 2, ""),
    "a folder of a machine": (HOST_PATH, 2, ""),
    "nothing said": ({"csi": {}}, 2, ""),
}


@pytest.mark.parametrize("name", MODES)
def test_a_disk_for_one_machine_is_not_lent_to_several(name):
    spec, machines, why = MODES[name]
    assert why in data.unusable(spec, machines)
    assert bool(data.unusable(spec, machines)) is bool(why)


def test_lent_secrets_are_copied_and_given_to_ray_only():
    made = request(secrets={"token": {"KEY": "dmFsdWU="}})
    secret = rendered(made)["Secret"]
    assert secret["metadata"]["name"] == "lent-token"
    assert secret["data"] == {"KEY": "dmFsdWU="}
    assert pods(made)["worker"]["spec"]["containers"][0]["envFrom"] == [
        {"secretRef": {"name": "lent-token"}}
    ]
    assert "envFrom" not in pods(made)["submitter"]["spec"]["containers"][0]
    assert "envFrom" not in pods()["worker"]["spec"]["containers"][0]


def test_users_values_arrive_as_written():
    made = request(
        env=[{"name": "A", "value": "$(HOME) $$ `x`"}], entrypoint=["sh", "-c", "; rm $X"]
    )
    env = {e["name"]: e["value"] for e in pods(made)["head"]["spec"]["containers"][0]["env"]}
    assert env["A"] == "$$(HOME) $$$$ `x`"
    assert env["HANSA_RESULT"] == launcher.RESULT_PATH
    assert rendered(made)["RayJob"]["spec"]["entrypoint"] == "python3 /hansa/launch.py"
    held = config_maps(made)["grant"]["data"]
    assert json.loads(held["argv.json"]) == ["sh", "-c", "; rm $X"]
    assert json.loads(held["grant.json"]) == made.wire


PLACES = {
    "country": ({}, ("EE", "LV"), ("EE",)),
    "its regions": ({}, ("EE-79", "LV-RIX"), ("EE", "EE-79")),
    "one region denied": (
        {"residency": stands_in("EU", deny=["EE-79"])},
        ("EE-79", "EE-37"),
        ("EE", "EE-37"),
    ),
    "only a region": (
        {"residency": stands_in("EE-79")},
        ("EE-79", "EE-37"),
        ("EE-79",),
    ),
}


@pytest.mark.parametrize("case", PLACES.values(), ids=PLACES.keys())
def test_lawful_places(case):
    changes, labels, expected = case
    spec = WorkGrantSpec.model_validate(grant(job(**changes)))
    assert lawful_places(spec, policy(), labels) == expected


def test_an_elastic_job_gets_the_workers_granted():
    ray = {"version": "2.60.0", "workers": {"count": 4, "minCount": 2, "gpus": 1}}
    wire = grant(job(ray=ray), workers=3)
    made = waves(request(grant=WorkGrantSpec.model_validate(wire), wire=wire), RayJob())
    by_kind = {one.body["kind"]: one.body for wave in made for one in wave}

    group = by_kind["RayJob"]["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]
    assert {group["replicas"], group["minReplicas"], group["maxReplicas"]} == {3}
    assert by_kind["ResourceQuota"]["spec"]["hard"]["requests.nvidia.com/gpu"] == "3"
    assert by_kind["RayJob"]["metadata"]["labels"]["hansa.dev/gpus"] == "3"


def test_work_with_data_reaches_no_resolver_but_the_one_that_forwards_nothing():
    """A question for a name is a message."""
    egress = [{"cidr": "10.0.0.0/8", "ports": [53, 443, 853]}, {"cidr": "192.0.2.0/24"}]
    spec = rendered(request({"egress": egress}))["NetworkPolicy"]["spec"]
    names, first, second = spec["egress"][1:]
    assert names["to"][0]["podSelector"] == {
        "matchLabels": {"app.kubernetes.io/name": "hansa-resolver"}
    }
    assert [port["port"] for port in first["ports"]] == [443]
    open_ports = {n for p in second["ports"] for n in range(p["port"], p["endPort"] + 1)}
    assert not open_ports & {53, 853, 5353, 8053}
    assert len(open_ports) == 65_531


@pytest.mark.parametrize("role", ["head", "worker", "submitter"])
def test_pods_of_work_with_data_ask_that_resolver_only(role):
    made = request(resolver="10.96.0.53")
    spec = pods(made)[role]["spec"]
    assert made.is_shut_in
    assert spec["dnsPolicy"] == "None"
    assert spec["dnsConfig"] == {"nameservers": ["10.96.0.53"]}


@pytest.mark.parametrize("role", ["head", "worker"])
def test_ray_sends_nobody_statistics_of_its_use(role):
    [container] = pods()[role]["spec"]["containers"]
    env = {one["name"]: one["value"] for one in container["env"]}
    assert env["RAY_USAGE_STATS_ENABLED"] == "0"
